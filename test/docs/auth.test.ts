import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Env, loadText } from '../config/load-text.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** Does what the documents say: the keys stand below `common:`, in place of its lines for the same keys. */
function shippedFileWith(yaml: string): string {
  const [before = '', common = '', after = ''] = read('config.yml').split(/^(?=common:|local:)/m);
  const keys = yaml.split(/^(?=\w)/m).map((lines) => lines.trimEnd().replaceAll(/^/gm, '  '));
  const replaced = keys.reduce((text, lines) => {
    const line = new RegExp(`^${lines.split(':')[0]}:.*$`, 'gm');
    assert.equal(text.match(line)?.length, 1, `config.yml has one line for ${lines}`);
    return text.replace(line, () => lines);
  }, common);
  return [before, replaced, after].join('');
}

for (const path of ['README.md', 'docs/auth.md']) {
  const blocks = [...read(path).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);

  test(`${path} has configurations, and says where they belong`, () => {
    assert.ok(blocks.length > 0);
    assert.match(read(path), /below `common:`\s+in `config\.yml`, in\s+place\s+of/);
  });

  for (const yaml of blocks) {
    for (const env of [{}, { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket' }] as Env[]) {
      const flavor = env.SETTINGS_FLAVOR ?? 'dev';
      test(`a configuration of ${path} works in the shipped file: ${flavor}, ${yaml.split('\n')[0]}`, () => {
        const { config, warnings } = loadText(shippedFileWith(yaml), env);
        assert.deepEqual(warnings, []);
        const alone = loadText(`${flavor}:\n  storage: local\n${yaml.replaceAll(/^/gm, '  ')}`, env);
        for (const key of ['auth', 'immutableTags', 'publicUrl'] as const) {
          assert.deepEqual(config[key], alone.config[key]);
        }
      });
    }
  }
}

for (const path of ['README.md', 'docs/auth.md', 'docs/configuration.md', 'docs/v1.md']) {
  test(`${path} says once how a command is typed, and then types it so`, () => {
    const text = read(path);
    assert.equal(text.match(/in a clone of Stowage,? after `npm ci`/g)?.length, 1);
    assert.doesNotMatch(text, /lib\/cli\.ts/);
    assert.doesNotMatch(text, /(?:^ *|`)stowage [a-z]/m);
  });
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
