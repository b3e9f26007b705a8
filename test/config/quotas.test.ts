import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeConfig } from '../../lib/config/describe.ts';
import type { Quota } from '../../lib/registry/usage/quotas.ts';
import { loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const LOCAL = 'dev:\n  storage: local\n  storage_path: ./data\n';
const withQuotas = (...quotas: string[]) => `${LOCAL}  quotas:\n${quotas.map((quota) => `    - ${quota}\n`).join('')}`;
const quotasOf = (...quotas: string[]): Quota[] => loadText(withQuotas(...quotas)).config.quotas;

test('without the key there are no quotas', () => {
  assert.deepEqual(loadKeys({}).config.quotas, []);
  assert.deepEqual(loadKeys({ quotas: null }).config.quotas, []);
});

test('quotas are read in their order, from YAML and from a variable', () => {
  const expected = [
    { repositories: ['team/*', 'app'], limitBytes: 50 * 2 ** 30 },
    { repositories: ['**'], limitBytes: 500e6 },
  ];
  const lines = ["{repositories: ['team/*', app], bytes: 50GiB}", "{repositories: '**', bytes: 500MB}"];
  assert.deepEqual(quotasOf(...lines), expected);
  assert.deepEqual(
    loadText(`${LOCAL}  quotas: _env:QUOTAS\n`, { QUOTAS: `[${lines.join(', ')}]` }).config.quotas,
    expected,
  );
});

for (const [written, limitBytes] of Object.entries({
  1000: 1000,
  '7B': 7,
  '1KB': 1000,
  '1KiB': 1024,
  '1.5TiB': 1.5 * 2 ** 40,
})) {
  test(`a quota of ${written} is one of ${limitBytes} bytes`, () => {
    assert.equal(quotasOf(`{repositories: 'a/*', bytes: ${written}}`)[0]?.limitBytes, limitBytes);
  });
}

const WRONG: Record<string, RegExp> = {
  '{}': /quota 2 /,
  'a text': /quota 2 /,
  "{repositories: 'b/*'}": /quota 2 .*bytes/,
  '{bytes: 1GiB}': /quota 2 .*repositories/,
  '{repositories: [], bytes: 1GiB}': /quota 2 .*repositories/,
  "{repositories: 'b/.*?$', bytes: 1GiB}": /quota 2 .*\.\*\?/,
  "{repositories: 'b/*', bytes: 1GiB, limit: 3}": /quota 2 has limit/,
  "{repositorys: 'b/*', bytes: 1GiB}": /did you mean repositories\?/,
  "{repositories: 'b/*', bytes: 0}": /quota 2 .*bytes/,
  "{repositories: 'b/*', bytes: 50G}": /quota 2 .*bytes/,
  "{repositories: 'b/*', bytes: -1GiB}": /quota 2 .*bytes/,
  "{repositories: 'b/*', bytes: 50 GiB or so}": /quota 2 .*bytes/,
  "{repositories: 'library/app-x', bytes: 1GiB}": /quota 2 .*quota 1/,
  "{repositories: 'app-*', bytes: 1GiB}": /quota 2 .*quota 1/,
};
for (const [quota, problem] of Object.entries(WRONG)) {
  test(`${quota} is refused with its line`, () => {
    const message = messageOf(() => loadText(withQuotas("{repositories: ['app*', 'team/*'], bytes: 1GiB}", quota)));
    assert.ok(message.startsWith(`${textFile}:6: quotas`), message);
    assert.match(message, problem);
  });
}

test('an empty list is refused', () => {
  assert.match(
    messageOf(() => loadText(`${LOCAL}  quotas: []\n`)),
    /:4: quotas/,
  );
});

test('a misspelt or misplaced key is refused', () => {
  const quotas = [{ repositories: 'a/*', bytes: '1GiB' }];
  for (const name of ['quota', 'Quotas', 'qoutas']) {
    assert.match(
      messageOf(() => loadKeys({ [name]: quotas })),
      /did you mean quotas\?/,
      name,
    );
  }
  assert.match(
    messageOf(() => loadText(`${LOCAL}quotas:\n  - {repositories: 'a/*', bytes: 1GiB}\n`)),
    /:4: quotas/,
  );
});

test('what stowage config prints gives the same quotas', () => {
  const loaded = loadText(withQuotas("{repositories: 'a/*, b', bytes: 1536MiB}", "{repositories: '*', bytes: 1001}"));
  assert.deepEqual(loadText(describeConfig(loaded)).config.quotas, loaded.config.quotas);
});
