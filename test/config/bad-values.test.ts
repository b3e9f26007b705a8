import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Env, loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const S3 = { storage: 's3', boto_bucket: 'bucket', storage_path: '/registry' };

type Row = { keys: Record<string, unknown>; env?: Env; key: string; value?: string; allowed: RegExp };

const ROWS: Row[] = [
  { keys: { storage: 'gcs' }, key: 'storage', value: '"gcs"', allowed: /local \(or file\) and s3/ },
  { keys: { storage: 'swift' }, key: 'storage', value: '"swift"', allowed: /local \(or file\) and s3/ },
  { keys: { storage: null }, key: 'storage', allowed: /local \(or file\) and s3/ },
  { keys: { storage_path: ['a'] }, key: 'storage_path', value: '(a list)', allowed: /a text/ },
  { keys: { loglevel: 'loud' }, key: 'loglevel', value: '"loud"', allowed: /debug, info, warning, error or critical/ },
  {
    keys: { loglevel: '_env:L' },
    env: { L: '10' },
    key: 'loglevel',
    value: '"10" (from the variable L)',
    allowed: /info/,
  },
  { keys: { loglevel: '_env:L:x' }, key: 'loglevel', value: '"x" (the default of _env:L)', allowed: /info/ },
  { keys: { loglevel: 'constructor' }, key: 'loglevel', value: '"constructor"', allowed: /info/ },
  { keys: { debug: 'maybe' }, key: 'debug', value: '"maybe"', allowed: /true or false/ },
  { keys: { debug: 'constructor' }, key: 'debug', value: '"constructor"', allowed: /true or false/ },
  { keys: { debug: '2' }, key: 'debug', value: '"2"', allowed: /true or false/ },
  { keys: { standalone: 'y' }, key: 'standalone', value: '"y"', allowed: /true or false/ },
  { keys: { standalone: ['true'] }, key: 'standalone', value: '(a list)', allowed: /true or false/ },
  { keys: { disable_token_auth: {} }, key: 'disable_token_auth', value: '(a map)', allowed: /true or false/ },
  { keys: { storage_redirect: 'http://x' }, key: 'storage_redirect', value: '"http://x"', allowed: /true or false/ },
  { keys: { nginx_x_accel_redirect: ['/acc'] }, key: 'nginx_x_accel_redirect', value: '(a list)', allowed: /a text/ },
  {
    keys: { index_endpoint: 'index.docker.io' },
    key: 'index_endpoint',
    value: '"index.docker.io"',
    allowed: /https:\/\//,
  },
  { keys: { index_endpoint: '"http://a b"' }, key: 'index_endpoint', value: '"http://a b"', allowed: /https:\/\// },
  {
    keys: { index_endpoint: 'https://user:pass/word@host' },
    key: 'index_endpoint',
    value: '"https://********@host"',
    allowed: /https:\/\//,
  },
  { keys: { registry_endpoints: { a: 1 } }, key: 'registry_endpoints', value: '(a map)', allowed: /text or a list/ },
  { keys: { registry_endpoints: [['a']] }, key: 'registry_endpoints', value: '(a list)', allowed: /text or a list/ },
  { keys: { privileged_key: ['a'] }, key: 'privileged_key', value: '(a list)', allowed: /a text/ },
  { keys: { secret_key: { a: 1 } }, key: 'secret_key', value: '********', allowed: /a text/ },
  { keys: { search_backend: ['a'] }, key: 'search_backend', value: '(a list)', allowed: /a text/ },
  { keys: { mirroring: { source: 'ftp://x' } }, key: 'mirroring.source', value: '"ftp://x"', allowed: /http:\/\// },
  { keys: { cors: 'true' }, key: 'cors', allowed: /a map of keys/ },
  { keys: { cors: ['a'] }, key: 'cors', allowed: /a map of keys/ },
  { keys: { cors: { origins: { a: 1 } } }, key: 'cors.origins', value: '(a map)', allowed: /list of texts/ },
  { keys: { cors: { origins: 'a', max_age: -1 } }, key: 'cors.max_age', value: '"-1"', allowed: /whole number from 0/ },
  {
    keys: { cors: { origins: 'a', supports_credentials: 'x' } },
    key: 'cors.supports_credentials',
    value: '"x"',
    allowed: /true or false/,
  },

  { keys: { ...S3, boto_bucket: null }, key: 'boto_bucket', allowed: /name of a bucket/ },
  { keys: { ...S3, boto_bucket: 'REPLACEME' }, key: 'boto_bucket', allowed: /name of a bucket/ },
  { keys: { ...S3, boto_bucket: '_env:B' }, env: { B: '' }, key: 'boto_bucket', allowed: /name of a bucket/ },
  { keys: { ...S3, boto_bucket: 's3://b' }, key: 'boto_bucket', value: '"s3://b"', allowed: /name of a bucket/ },
  { keys: { ...S3, s3_access_key: 'AKIA' }, key: 's3_secret_key', allowed: /set both or none/ },
  { keys: { ...S3, s3_secret_key: 'shh' }, key: 's3_access_key', allowed: /set both or none/ },
  {
    keys: { ...S3, s3_access_key: 'REPLACEME' },
    key: 's3_access_key',
    allowed: /REPLACEME.*null for the keys of the environment/,
  },
  { keys: { ...S3, s3_access_key: 'AKIA', s3_secret_key: 'REPLACEME' }, key: 's3_secret_key', allowed: /REPLACEME/ },
  { keys: { ...S3, s3_access_key: ['AKIA'] }, key: 's3_access_key', value: '********', allowed: /a text/ },
  { keys: { ...S3, s3_region: 'eu west' }, key: 's3_region', value: '"eu west"', allowed: /eu-central-1/ },
  { keys: { ...S3, s3_encrypt: 'AES256' }, key: 's3_encrypt', value: '"AES256"', allowed: /true or false/ },
  { keys: { ...S3, s3_secure: 'https' }, key: 's3_secure', value: '"https"', allowed: /true or false/ },
  { keys: { ...S3, boto_host: 'http://x' }, key: 'boto_host', value: '"http://x"', allowed: /boto_port.*s3_secure/ },
  { keys: { ...S3, boto_host: 'x:9000' }, key: 'boto_host', value: '"x:9000"', allowed: /boto_port/ },
  { keys: { ...S3, boto_port: 70000 }, key: 'boto_port', value: '"70000"', allowed: /between 1 and 65535/ },
  { keys: { ...S3, boto_port: 'http' }, key: 'boto_port', value: '"http"', allowed: /between 1 and 65535/ },
  {
    keys: { ...S3, boto_calling_format: 'boto.s3.connection.PathCallingFormat' },
    key: 'boto_calling_format',
    value: '"boto.s3.connection.PathCallingFormat"',
    allowed: /SubdomainCallingFormat, …OrdinaryCallingFormat or …VHostCallingFormat/,
  },

  ...['65536', '-1', '5000.5', 'http', '[5000]', 'true'].map((port) => ({
    keys: {},
    env: { REGISTRY_PORT: port },
    key: 'port',
    value: port === '[5000]' ? '"[5000]"' : `"${port}" (from the variable REGISTRY_PORT)`,
    allowed: /between 0 and 65535/,
  })),
  { keys: {}, env: { PORT_WWW: 'x' }, key: 'port', value: '"x" (from the variable PORT_WWW)', allowed: /65535/ },
  {
    keys: {},
    env: { REGISTRY_HOST: 'http://x' },
    key: 'host',
    value: '"http://x" (from the variable REGISTRY_HOST)',
    allowed: /127\.0\.0\.1/,
  },
  { keys: { loglevel: `"${'x'.repeat(500)}"` }, key: 'loglevel', value: `"${'x'.repeat(100)}…"`, allowed: /info/ },
  { keys: { loglevel: '"a\\nb"' }, key: 'loglevel', value: '"a\\nb"', allowed: /info/ },
];

/** As `loadKeys` writes them, one below the other. */
function positionOf(key: string, keys: Record<string, unknown>): string {
  if (key === 'port' || key === 'host') return ''; // no file holds these two
  const index = Object.keys({ storage: '', storage_path: '', ...keys }).indexOf(key.split('.')[0] ?? '');
  return `${textFile}:${index < 0 ? 1 : index + 2}: `; // one that is not there: where the flavor begins
}

for (const { keys, env, key, value, allowed } of ROWS) {
  test(`${key} ${value ?? 'missing'} is refused in one line that says what is allowed: ${JSON.stringify(env ?? '')}`, () => {
    const message = messageOf(() => loadKeys(keys, env));
    const beginning = `${positionOf(key, keys)}${key} ${value ?? ''}`;
    assert.equal(message.slice(0, beginning.length), beginning);
    assert.match(message, allowed);
    assert.doesNotMatch(message, /\n/);
  });
}

for (const [title, text, says] of [
  ['a list', '[a]', /must be a map of flavors/],
  ['a text', 'dev', /must be a map of flavors/],
  ['nothing', '', /must be a map of flavors/],
  ['a flavor that is a text', 'dev: local', /dev is not a flavor/],
  ['common that is a list', 'common: [a]\ndev: {}', /common must be a map/],
  ['broken YAML', 'dev:\n  storage: [local\n', /is not valid YAML: .* in line \d/],
  [
    'an object of Python',
    'dev:\n  storage: !!python/name:os.system\n',
    /!!python\/name:os\.system is not allowed.*line 2/,
  ],
] as const) {
  test(`a file that holds ${title} is refused and named`, () => {
    const message = messageOf(() => loadText(text));
    assert.ok(message.startsWith(`${textFile}:`), message);
    assert.match(message, says);
  });
}

test('SETTINGS_COMMON is a boolean', () => {
  assert.match(
    messageOf(() => loadText('dev: {}', { SETTINGS_COMMON: 'maybe' })),
    /SETTINGS_COMMON "maybe" is not allowed; allowed: true or false/,
  );
});
