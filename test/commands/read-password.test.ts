import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { readNewPassword, readPassword, type Terminal } from '../../lib/commands/read-password.ts';

/** A terminal at which somebody has typed this, and what it shows. */
function typed(...chunks: string[]): Terminal & { shown: string[] } {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  for (const chunk of chunks) input.write(chunk);
  const shown: string[] = [];
  return { input, output: { write: (text) => shown.push(text) }, shown };
}

const piped = (text: string): Terminal => {
  const input = new PassThrough();
  input.end(text);
  return { input, output: { write: () => assert.fail('nobody is there to read it') } };
};

for (const [title, keys, password] of [
  ['Enter ends it', 'secret\r', 'secret'],
  ['letters of any script and blanks count', ' pä ss €\r', ' pä ss €'],
  ['Backspace takes the last letter back', 'secrex\x7ft\r', 'secret'],
  ['Ctrl-U empties the line', 'no\x15secret\r', 'secret'],
  ['the arrows move, and are no letters', 'ecret\x1b[H\x1b[Ds\x1b[C\x1b[A\x1b[B\r', 'secret'],
  ['other keys are no letters', 'sec\x1b[15~\x18ret\r', 'secret'],
] as const) {
  test(`a password is typed: ${title}`, async () => {
    assert.equal(await readPassword('alice', typed(keys)), password);
    assert.equal(await readPassword('alice', typed(...keys)), password, 'key by key');
  });
}

test('nothing of it is shown', async () => {
  const terminal = typed('secret\rsecret\r');
  await readNewPassword('alice', terminal);
  assert.deepEqual(terminal.shown, ['New password of alice: ', '\n', 'The same once more: ', '\n']);
});

test('a new one is asked for twice, and must be the same', async () => {
  assert.equal(await readNewPassword('alice', typed('secret\r', 'secret\r')), 'secret');
  await assert.rejects(readNewPassword('alice', typed('secret\r', 'secrat\r')), /differ: nothing was changed/);
});

for (const [name, key] of [
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
] as const) {
  for (const keys of [key, `secret${key}`, `secret\r${key}`, `secret\rsecret${key}`, `secret\rsecre${key}t\r`]) {
    test(`${name} breaks off: ${JSON.stringify(keys)}`, async () => {
      await assert.rejects(readNewPassword('alice', typed(keys)), /broken off: nothing was changed/);
    });
  }
}

test('from a pipe the first line counts, as it is, and once', async () => {
  assert.equal(await readNewPassword('alice', piped('sec\tret \r\nmore\n')), 'sec\tret ');
  assert.equal(await readPassword('alice', piped('secret')), 'secret');
  assert.equal(await readPassword('alice', piped('')), '');
});
