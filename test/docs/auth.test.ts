import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadText } from '../config/load-text.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

for (const path of ['README.md', 'docs/auth.md']) {
  const blocks = [...read(path).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);

  test(`${path} has configurations`, () => assert.ok(blocks.length > 0));

  for (const yaml of blocks) {
    test(`a configuration of ${path} starts without a warning: ${yaml.split('\n')[0]}`, () => {
      const keys = yaml.replaceAll(/^/gm, '  ').trimEnd();
      const { warnings } = loadText(`dev:\n  storage: local\n  storage_path: ./data\n${keys}\n`);
      assert.deepEqual(warnings, []);
    });
  }
}

test('each test that docs/security.md names is there', () => {
  const names = [...read('docs/security.md').matchAll(/^\|.*\| (.*) \|$/gm)].flatMap(([, tests = '']) =>
    [...tests.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(names.length > 15);
  for (const name of names) {
    const path = name.startsWith('test/') ? name : `test/auth/${name}`;
    assert.ok(existsSync(new URL(`../../${path}`, import.meta.url)), name);
  }
});
