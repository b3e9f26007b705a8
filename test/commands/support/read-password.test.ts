import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { readNewPassword, readPassword, type Terminal } from '../../../lib/commands/support/read-password.ts';

/** A terminal on which these keys were typed, and the texts that it shows. */
function typed(...chunks: string[]): Terminal & { shown: string[] } {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  for (const chunk of chunks) input.write(chunk);
  const shown: string[] = [];
  return { input, output: { write: (text) => shown.push(text) }, shown };
}

const piped = (text: string): Terminal => {
  const input = new PassThrough();
  input.end(text);
  return { input, output: { write: () => assert.fail('a prompt was written though input is no terminal') } };
};

for (const [title, keys, password] of [
  ['Enter ends the line', 'secret\r', 'secret'],
  ['letters of any script, and blanks, are part of it', ' pä ss €\r', ' pä ss €'],
  ['Backspace removes the last letter', 'secrex\x7ft\r', 'secret'],
  ['Ctrl-U empties the line', 'no\x15secret\r', 'secret'],
  ['arrow keys move the cursor', 'ecret\x1b[H\x1b[Ds\x1b[C\x1b[A\x1b[B\r', 'secret'],
  ['other control keys add nothing', 'sec\x1b[15~\x18ret\r', 'secret'],
] as const) {
  test(`typing a password: ${title}`, async () => {
    assert.equal(await readPassword('alice', typed(keys)), password);
    assert.equal(await readPassword('alice', typed(...keys)), password, 'key by key');
  });
}

test('the terminal shows prompts and no letter of the password', async () => {
  const terminal = typed('secret\rsecret\r');
  await readNewPassword('alice', terminal);
  assert.deepEqual([terminal.shown.length, terminal.shown[1], terminal.shown[3]], [4, '\n', '\n']);
  assert.doesNotMatch(terminal.shown.join(''), /secret/);
});

test('a new password is asked for twice, and two different answers change nothing', async () => {
  assert.equal(await readNewPassword('alice', typed('secret\r', 'secret\r')), 'secret');
  await assert.rejects(readNewPassword('alice', typed('secret\r', 'secrat\r')), /differ.*nothing was changed/);
});

for (const [name, key] of [
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
] as const) {
  for (const keys of [key, `secret${key}`, `secret\r${key}`, `secret\rsecret${key}`, `secret\rsecre${key}t\r`]) {
    test(`${name} ends the input and changes nothing: ${JSON.stringify(keys)}`, async () => {
      await assert.rejects(readNewPassword('alice', typed(keys)), /nothing was changed/);
    });
  }
}

test('from a pipe the password is the first line, unchanged, without a repetition', async () => {
  assert.equal(await readNewPassword('alice', piped('sec\tret \r\nmore\n')), 'sec\tret ');
  assert.equal(await readPassword('alice', piped('secret')), 'secret');
  assert.equal(await readPassword('alice', piped('')), '');
});
