import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { ConfigError } from '../../lib/config/config-error.ts';
import { describeConfig } from '../../lib/config/describe.ts';
import { type Env, loadFixture, loadKeys, textFile } from './load-text.ts';

test('the configuration in effect is YAML, with where each value came from', () => {
  const loaded = loadKeys(
    { loglevel: '_env:LOGLEVEL:info', issue: '{a: [1, "b\\nc"]}', mirroring: '{source: "https://a"}' },
    { LOGLEVEL: 'WARN', REGISTRY_PORT: '5001' },
  );
  const text = describeConfig(loaded);
  assert.deepEqual(load(text), {
    file: textFile,
    flavor: 'dev',
    storage: 'local',
    storage_path: './data',
    host: '127.0.0.1',
    port: 5001,
    storage_redirect: false,
    v1_layers: 'copy',
    nginx_x_accel_redirect: null,
    loglevel: 'warning',
    debug: false,
    issue: { a: [1, 'b\nc'] },
    standalone: true,
    disable_token_auth: false,
    index_endpoint: null,
    registry_endpoints: null,
    public_url: null,
    push_endpoint: null,
    privileged_key: null,
    secret_key: null,
    secret_key_previous: null,
    access: null,
    immutable_tags: null,
    trusted_proxies: 0,
    search_backend: null,
    mirroring: { source: 'https://a', source_index: 'https://a', tags_cache_ttl: 172800 },
    cors: { origins: null },
  });
  assert.match(text, /^loglevel: warning {2}# variable LOGLEVEL$/m);
  assert.match(text, /^port: 5001 {2}# variable REGISTRY_PORT$/m);
  assert.match(text, /^storage: local {2}# file$/m);
  assert.match(text, /^standalone: true {2}# default$/m);
  assert.match(text, /^ {2}source: https:\/\/a {2}# file$/m);
});

test('without a flavor it says null, and for S3 it shows the keys of S3', () => {
  const loaded = loadFixture('../../../config.yml', { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket' });
  const described = load(describeConfig(loaded)) as Record<string, unknown>;
  assert.equal(described.boto_bucket, 'bucket');
  assert.equal(described.boto_calling_format, 'SubdomainCallingFormat');
  assert.equal(described.s3_access_key, null);
});

const SECRET_VARIABLES = [
  'SECRET_KEY',
  'AWS_KEY',
  'AWS_SECRET',
  'CACHE_REDIS_PASSWORD',
  'SMTP_PASSWORD',
  'BUGSNAG',
  'CF_KEYSECRET',
];
const SECRETS = [
  'hunter2',
  '*hunter2',
  '!hunter2',
  '!!hunter2',
  '"hunter2',
  '{hunter2',
  'a: hunter2',
  '@hunter2',
  'hunter2\nx',
  '[hunter2]',
];

for (const secret of SECRETS) {
  test(`a secret appears nowhere: ${JSON.stringify(secret)}`, () => {
    const secrets = Object.fromEntries(SECRET_VARIABLES.map((name) => [name, secret]));
    const url = `https://user:${secret.replaceAll(/\W/g, '')}@host`;
    const yaml = secret.includes('\n') ? JSON.stringify(secret) : secret;
    for (const said of [
      told(() => loadFixture('../../../config.yml', { ...secrets, SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket' })),
      told(() =>
        loadFixture('registry-0.9.1.yml', { ...secrets, SETTINGS_FLAVOR: 'cloudfronts3', AWS_BUCKET: 'bucket' }),
      ),
      told(() => loadFixture('registry-0.9.1.yml', { ...secrets, INDEX_ENDPOINT: url, MIRROR_SOURCE: url })),
      told(() => loadFixture('registry-0.9.1.yml', { MIRROR_SOURCE: `x${url}` })),
      told(() => loadKeys({ secret_key: yaml, s3_secret_key: yaml, secret_kye: yaml })),
      told(() => loadKeys({ storage: 's3', boto_bucket: 'bucket', s3_secret_key: yaml })),
      told(() => loadKeys({ storage: 's3', boto_bucket: 'bucket', s3_access_key: yaml, s3_secret_key: yaml })),
      told(() => loadKeys({ secret_key: `[${yaml}]` })),
    ]) {
      assert.doesNotMatch(said, /hunter2/);
    }
  });
}

/** All that an operator is told. */
function told(load: () => ReturnType<typeof loadKeys>): string {
  try {
    const loaded = load();
    return `${describeConfig(loaded)}${loaded.warnings.join('\n')}${JSON.stringify(loaded.settings)}`;
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
}

test('a secret that is set shows as masked', () => {
  const env: Env = { SECRET_KEY: 'hunter2' };
  assert.match(
    describeConfig(loadFixture('../../../config.yml', env)),
    /^secret_key: '\*{8}' {2}# variable SECRET_KEY$/m,
  );
});
