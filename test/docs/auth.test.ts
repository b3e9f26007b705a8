import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Env, loadText } from '../config/load-text.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const PUBLIC_KEY = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();

/** Does what the documents say: the keys are appended to the file as they are. */
function shippedFileWith(yaml: string): string {
  return read('config.yml') + yaml;
}

for (const path of ['README.md', 'docs/auth.md', 'docs/lifecycle.md', 'docs/pages.md']) {
  const blocks = [...read(path).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);

  test(`${path} has configurations, indented as they belong, and says where`, () => {
    assert.ok(blocks.length > 0);
    assert.match(read(path), /at the\s+end of `config\.yml`,\s+indented/);
    for (const yaml of blocks) assert.match(yaml, /^(?: {2}.*\n)+$/);
  });

  for (const yaml of blocks) {
    for (const chosen of [{}, { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket' }] as Env[]) {
      const env: Env = { ...chosen, BUILD_KEY: PUBLIC_KEY };
      const flavor = env.SETTINGS_FLAVOR ?? 'dev';
      test(`a configuration of ${path} works in the shipped file: ${flavor}, ${yaml.trim().split('\n')[0]}`, () => {
        const { config, warnings } = loadText(shippedFileWith(yaml), env);
        assert.deepEqual(warnings, []);
        const alone = loadText(`${flavor}:\n  storage: local\n${yaml}`, env);
        for (const key of ['auth', 'immutableTags', 'publicUrl', 'retention', 'gc', 'quotas'] as const) {
          assert.deepEqual(config[key], alone.config[key]);
        }
      });
    }
  }
}

for (const path of ['README.md', 'docs/auth.md', 'docs/configuration.md', 'docs/operations.md', 'docs/v1.md']) {
  test(`${path} says once how a command is typed, and then types it so`, () => {
    const text = read(path);
    assert.equal(text.match(/in a clone of Stowage,? after `npm ci`/g)?.length, 1);
    assert.doesNotMatch(text, /lib\/cli\.ts/);
    assert.doesNotMatch(text, /(?:^ *|`)stowage [a-z]/m);
  });
}

test('each test and module that a table of docs/security.md names is there', () => {
  const names = [...read('docs/security.md').matchAll(/^\|.*\| (.*) \|$/gm)].flatMap(([, tests = '']) =>
    [...tests.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(names.length > 15);
  for (const name of names) {
    assert.match(name, /^(?:lib|test)\//);
    assert.ok(existsSync(new URL(`../../${name}`, import.meta.url)), name);
  }
});

test('each promise and bound of docs/security.md names a test', () => {
  const tables = read('docs/security.md')
    .split(/^## /m)
    .slice(2, -1)
    .flatMap((section) => section.split('\n'));
  const rows = tables.filter((line) => /^\| (?!Promise|Resource|---)/.test(line) && !line.startsWith('|---'));
  assert.ok(rows.length > 40);
  for (const row of rows) assert.match(row, /\| [^|]*`test\/[^|]+ \|$/);
});
