import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from 'js-yaml';
import type { Config } from '../../lib/config/config.ts';
import { ConfigError } from '../../lib/config/config-error.ts';
import { describeConfig } from '../../lib/config/describe.ts';
import type { LoadedConfig } from '../../lib/config/read-parsed.ts';
import { SCANNERS } from '../../lib/registry/retention/pulling-programs.ts';
import { type Env, loadFixture, loadKeys, loadText, messageOf, textFile } from './load-text.ts';

test('the configuration in effect is printed as YAML with the origin of each value', () => {
  const loaded = loadKeys(
    { loglevel: '_env:LOGLEVEL:info', issue: '{a: [1, "b\\nc"]}', cors: '{origins: "https://a"}' },
    { LOGLEVEL: 'WARN', REGISTRY_PORT: '5001' },
  );
  const text = describeConfig(loaded);
  const { dev, ...others } = load(text) as { dev: object };
  assert.deepEqual(others, {});
  assert.deepEqual(dev, {
    storage: 'local',
    storage_path: './data',
    storage_redirect: false,
    v1_layers: 'copy',
    v1_projection: 'eager',
    v1_images: 'keep',
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
    absolute_locations: 'auto',
    v2_version_header: 'auto',
    privileged_key: null,
    secret_key: null,
    secret_key_previous: null,
    auth: null,
    access: null,
    index_children: 'required',
    immutable_tags: null,
    gc: { every: '1d', grace: '3d' },
    quotas: null,
    retention: { undo: '14d', rules: null, ignore_pulls_by: [...SCANNERS] },
    trusted_proxies: 0,
    uploads_at_once: 100,
    downloads_at_once: 256,
    unpacking: { max_bytes: 107374182400, max_ratio: 200 },
    search_backend: null,
    pages: { enabled: true, insecure_login: false, trusted_keys: null },
    mirroring: { source: null },
    cors: {
      origins: ['https://a'],
      methods: null,
      headers: null,
      expose_headers: null,
      supports_credentials: null,
      max_age: null,
    },
  });
  assert.equal(text.split('\n')[0], `# ${textFile}, secrets masked`);
  assert.match(text, /^ {2}loglevel: warning {2}# variable LOGLEVEL$/m);
  assert.match(text, /^# port: 5001 {2}# variable REGISTRY_PORT$/m);
  assert.match(text, /^ {2}storage: local {2}# file$/m);
  assert.match(text, /^ {2}standalone: true {2}# default$/m);
  assert.match(text, /^ {4}origins: \[https:\/\/a\] {2}# file$/m);
});

test('the origin of a value in a map of a variable is that variable', () => {
  const text = describeConfig(loadKeys({ auth: '_env:AUTH' }, { AUTH: '{htpasswd: ./users, oidc: ~}' }));
  assert.match(text, /^ {4}htpasswd: \.\/users {2}# variable AUTH$/m);
  assert.match(text, /^ {4}oidc: null {2}# default$/m);
});

test('storage: s3 shows the keys of S3', () => {
  const loaded = loadFixture('../../../config.yml', { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket' });
  const described = (load(describeConfig(loaded)) as { s3: Record<string, unknown> }).s3;
  assert.equal(described.boto_bucket, 'bucket');
  assert.equal(described.boto_calling_format, 'SubdomainCallingFormat');
  assert.equal(described.s3_access_key, null);
});

const ODD = [
  'yes',
  'y',
  '1:30',
  '0123',
  '0x1f',
  'null',
  '',
  ' a: b #c',
  "it's",
  'a\nb',
  '\u0085\u2028\ufeff\x7f',
  1e21,
  { '~': [null] },
];

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
  test(`a secret appears in no output: ${JSON.stringify(secret)}`, () => {
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

test('a secret of the file is masked, one of a variable is shown as the variable', () => {
  const file = loadKeys({ secret_key: 'hunter2', index_endpoint: 'https://user:hunter2@host' });
  assert.match(describeConfig(file), /^ {2}secret_key: '\*{8}' {2}# file$/m);
  assert.match(describeConfig(file), /^ {2}index_endpoint: https:\/\/\*{8}@host {2}# file$/m);
  const variable = loadFixture('../../../config.yml', { SECRET_KEY: 'hunter2' });
  assert.match(describeConfig(variable), /^ {2}secret_key: _env:SECRET_KEY {2}# variable SECRET_KEY$/m);
});

test('a mask is not accepted as a secret: a printed configuration with one does not start', () => {
  for (const keys of [{ secret_key: 'hunter2' }, { secret_key_previous: ['hunter2'] }]) {
    const message = messageOf(() => loadText(describeConfig(loadKeys(keys))));
    assert.match(message, /: secret_key\w* holds \*{8}, which stands for a secret; put the secret itself there$/);
  }
});

const AUTH = {
  htpasswd: '/run/users',
  realm: 'Ours: all',
  groups: { devs: ['alice', '0123', 'null'], guests: [] },
  oidc: [
    {
      issuer: 'https://token.example',
      audience: 'a',
      claims: { repository: 'our/*', ref: ['a', 'yes'] },
      groups: 'ci',
    },
    {
      issuer: 'http://localhost:1',
      jwks_uri: 'http://localhost:1/k',
      audience: 'a',
      claims: { sub: '*' },
      insecure: true,
    },
  ],
};
const ACCESS = [
  { repositories: 'team/secret, app', groups: ['devs'], users: ['0123'], deny: '*' },
  { repositories: '*', users: 'anonymous', actions: ['pull'] },
];
const S3_VARIABLES = {
  ...{ SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket', AWS_REGION: 'eu-central-1', AWS_KEY: '0123', AWS_SECRET: '*x' },
  ...{ SECRET_KEY: '"1"', SECRET_KEY_PREVIOUS: '[a, b]', TRUSTED_PROXIES: '2', CORS_ORIGINS: 'https://a, https://b' },
};

for (const [title, load, env] of [
  ['the shipped file', (env) => loadFixture('../../../config.yml', env), {}],
  ['the shipped file for S3', (env) => loadFixture('../../../config.yml', env), S3_VARIABLES],
  [
    'the shipped file with auth from variables',
    (env) => loadFixture('../../../config.yml', env),
    { AUTH: JSON.stringify(AUTH), ACCESS: JSON.stringify(ACCESS), IMMUTABLE_TAGS: '[team/*:v*, "*:1"]' },
  ],
  ['auth in the file', (env) => loadKeys({ auth: AUTH, access: ACCESS, immutable_tags: 'team/*:v*' }, env), {}],
  ['auth without rules', (env) => loadKeys({ auth: { htpasswd: 'users' }, access: [] }, env), {}],
  [
    'texts that YAML would parse as another type',
    (env) => loadKeys({ issue: ODD, secret_key: '_env:X' }, env),
    { X: '"' },
  ],
  ['a file without flavors', (env) => loadText('storage: local\nstorage_path: "0123"\n', env), { SETTINGS_FLAVOR: '' }],
  ['a flavor with an odd name', (env) => loadText('"a: #b": {storage: local}', env), { SETTINGS_FLAVOR: 'a: #b' }],
] satisfies [string, (env: Env) => LoadedConfig, Env][]) {
  test(`the output, used as a file, gives the same configuration: ${title}`, () => {
    const loaded = load({ REGISTRY_PORT: '5001', ...env });
    const again = loadText(describeConfig(loaded), { REGISTRY_PORT: '5001', ...env });
    assert.deepEqual(withoutFile(again.config), withoutFile(loaded.config));
    assert.deepEqual(again.warnings, []);
  });
}

function withoutFile({ file, ...config }: Config): Omit<Config, 'file'> {
  return config;
}
