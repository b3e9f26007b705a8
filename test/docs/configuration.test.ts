import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { UNUSED_KEYS, USED_KEYS } from '../../lib/config/keys.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const documentation = read('docs/configuration.md');
/** The names in the first column of all tables. */
const documented = [...documentation.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
);

test('every key has one row in docs/configuration.md', () => {
  const keys = new Set(Object.keys(USED_KEYS).map((key) => key.split('.')[0] ?? key));
  keys.delete('s3_bucket'); // stands beside boto_bucket
  for (const key of keys) assert.equal(documented.filter((name) => name === key).length, 1, key);
});

test('every nested key is named in its row', () => {
  for (const key of Object.keys(USED_KEYS).filter((name) => name.includes('.'))) {
    const [outer = '', inner = ''] = key.split('.');
    const row = documentation.split('\n').find((line) => line.startsWith(`| \`${outer}\` |`));
    assert.ok(row?.includes(`\`${inner}\``), key);
  }
});

test('every ignored key is named, but for the older names of Elliptics', () => {
  const ignored = documentation.split('\n\n').find((paragraph) => paragraph.startsWith('**Ignored')) ?? '';
  const patterns = [...ignored.matchAll(/`([\w*]+)`/g)].map(
    ([, name = '']) => new RegExp(`^${name.replace('*', '.*')}$`),
  );
  for (const [key, { why }] of Object.entries(UNUSED_KEYS)) {
    const name = key.split('.').at(-1) ?? key;
    if (why.startsWith('Elliptics') && !name.startsWith('elliptics')) continue;
    assert.ok(
      patterns.some((pattern) => pattern.test(name)),
      key,
    );
  }
});

test('every variable of the shipped config.yml has a row', () => {
  const settings = read('config.yml').replaceAll(/^#.*$/gm, '');
  const variables = new Set([...settings.matchAll(/_env:([A-Z0-9_]+)/g)].map(([, name = '']) => name));
  assert.ok(variables.size > 20);
  for (const name of variables) assert.equal(documented.filter((other) => other === name).length, 1, name);
});
