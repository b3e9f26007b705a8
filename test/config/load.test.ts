import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../lib/config/load.ts';
import { keyPrefixOf } from '../../lib/config/s3-options.ts';
import { SCANNERS } from '../../lib/registry/retention/pulling-programs.ts';
import type { S3DriverOptions } from '../../lib/storage/s3-client.ts';
import { type Env, loadFixture, loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const S3 = { storage: 's3', boto_bucket: 'bucket', storage_path: '/registry' };

function s3Options(keys: Record<string, unknown>, env: Env = {}): S3DriverOptions {
  const { storage } = loadKeys({ ...S3, ...keys }, env).config;
  assert.ok(storage.driver === 's3');
  return storage.options;
}

describe('storage_path is a prefix of keys, as boto joined them', () => {
  for (const [path, prefix] of [
    ['/registry', 'registry/'],
    ['registry', 'registry/'],
    ['registry/', 'registry/'],
    ['/registry/', 'registry/'],
    ['a/b', 'a/b/'],
    ['/', ''],
    ['//x', '/x/'],
  ] as const) {
    test(`${path} gives ${JSON.stringify(prefix)}`, () => {
      assert.equal(s3Options({ storage_path: path }).keyPrefix, prefix);
      assert.equal(keyPrefixOf(path), prefix);
    });
  }

  for (const path of ['', '""', '~', '_env:UNSET']) {
    test(`${JSON.stringify(path)} gives test/ with a warning`, () => {
      const { config, warnings } = loadKeys({ ...S3, storage_path: path });
      assert.ok(config.storage.driver === 's3');
      assert.equal(config.storage.options.keyPrefix, 'test/');
      assert.match(warnings.join('\n'), /storage_path is missing.*test\//);
    });
  }

  test('for local storage ./tmp with a warning, as in 0.9.1', () => {
    const { config, warnings } = loadText('dev: {storage: local}');
    assert.deepEqual(config.storage, { driver: 'local', path: './tmp' });
    assert.match(warnings.join('\n'), /storage_path is missing.*\.\/tmp/);
  });
});

describe('flavor and common', () => {
  const merged = `
common: &common {storage: local, storage_path: /a, loglevel: error, cors: {origins: a, max_age: 1}, cache: {host: redis}}
dev: {<<: *common, loglevel: debug, cors: {origins: b}, cache: {port: 1}}`;
  const apart = merged.replace('<<: *common, ', '');

  for (const [title, text, env] of [
    ['merged with <<', merged, {}],
    ['merged with << alone', merged, { SETTINGS_COMMON: 'off' }],
    ['the base of every flavor without <<', apart, {}],
    ['the base of every flavor if SETTINGS_COMMON says so', apart, { SETTINGS_COMMON: 'true' }],
  ] as const) {
    test(`a key of the flavor overrides that of common, and a map replaces the whole map: ${title}`, () => {
      const { config, warnings } = loadText(text, env);
      assert.equal(config.logLevel, 'debug');
      assert.deepEqual(config.storage, { driver: 'local', path: '/a' });
      assert.deepEqual(config.cors?.origins, ['b']);
      assert.equal(config.cors?.maxAgeSeconds, undefined);
      assert.deepEqual(warnings, []); // common's cache.host would give one
    });
  }

  test('SETTINGS_COMMON=off leaves common out without <<, as from 0.8.0 on', () => {
    assert.match(
      messageOf(() => loadText(apart, { SETTINGS_COMMON: 'off' })),
      /storage is missing/,
    );
  });

  test('a flavor without keys is common alone; common is a flavor itself', () => {
    const text = 'common: {storage: local, storage_path: /a}\ndev:\n';
    assert.deepEqual(loadText(text).config.storage, { driver: 'local', path: '/a' });
    assert.equal(loadText(text, { SETTINGS_FLAVOR: 'common' }).config.flavor, 'common');
  });
});

describe('the choice of file and flavor', () => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'stowage-find-')));
  const inDirectory = (...parts: string[]) => join(directory, ...parts);
  for (const folder of ['config', 'empty', 'both', 'both/config']) mkdirSync(inDirectory(folder));
  const file = (...parts: string[]) => {
    writeFileSync(inDirectory(...parts), `dev: {storage: local, storage_path: ${parts.join('/')}}`);
    return inDirectory(...parts);
  };
  const [here, below, named] = [file('config.yml'), file('config', 'below.yml'), file('named.yml')];
  const [first] = [file('both', 'twice.yml'), file('both', 'config', 'twice.yml')];
  const shipped = fileURLToPath(new URL('../../config.yml', import.meta.url));

  for (const { title, options, env = {}, expected } of [
    { title: 'config.yml of the working directory', options: { directory }, expected: here },
    {
      title: 'the shipped one if there is none',
      options: { directory: inDirectory('empty') },
      expected: shipped,
    },
    {
      title: '--config',
      options: { directory, file: 'named.yml' },
      env: { DOCKER_REGISTRY_CONFIG: below },
      expected: named,
    },
    {
      title: 'DOCKER_REGISTRY_CONFIG, absolute',
      options: { directory },
      env: { DOCKER_REGISTRY_CONFIG: below },
      expected: below,
    },
    {
      title: 'DOCKER_REGISTRY_CONFIG, from the working directory',
      options: { directory },
      env: { DOCKER_REGISTRY_CONFIG: 'named.yml' },
      expected: named,
    },
    {
      title: 'DOCKER_REGISTRY_CONFIG, from config/ as in docker-registry',
      options: { directory },
      env: { DOCKER_REGISTRY_CONFIG: 'below.yml' },
      expected: below,
    },
    {
      title: 'DOCKER_REGISTRY_CONFIG, the working directory before config/',
      options: { directory: inDirectory('both') },
      env: { DOCKER_REGISTRY_CONFIG: 'twice.yml' },
      expected: first,
    },
    {
      title: 'an empty DOCKER_REGISTRY_CONFIG counts as none',
      options: { directory },
      env: { DOCKER_REGISTRY_CONFIG: '' },
      expected: here,
    },
  ]) {
    test(title, () => {
      assert.equal(loadConfig({ env, ...options }).config.file, expected);
    });
  }

  for (const { title, options, env = {}, says } of [
    { title: '--config', options: { file: 'x.yml' }, says: [inDirectory('x.yml'), '--config'] },
    {
      title: 'DOCKER_REGISTRY_CONFIG',
      options: {},
      env: { DOCKER_REGISTRY_CONFIG: 'x.yml' },
      says: [inDirectory('x.yml'), inDirectory('config', 'x.yml'), 'DOCKER_REGISTRY_CONFIG'],
    },
    { title: 'a directory', options: { file: 'config' }, says: [inDirectory('config'), 'EISDIR'] },
    { title: 'below a file', options: { file: 'named.yml/x.yml' }, says: [inDirectory('named.yml/x.yml')] },
  ]) {
    test(`a missing file is named: ${title}`, () => {
      const message = messageOf(() => loadConfig({ env, directory, ...options }));
      for (const text of says) assert.ok(message.includes(text), message);
    });
  }

  test('an unknown flavor is named, with the file and the flavors there are', () => {
    const load = () => loadText('common: {}\ndev: {}\nprod: {}\nx: 1', { SETTINGS_FLAVOR: 'staging' });
    assert.equal(
      messageOf(load),
      `${textFile}: there is no flavor "staging" (SETTINGS_FLAVOR); there are common, dev, prod`,
    );
  });

  test('the error for a file without flavors names the setting that uses its top level', () => {
    assert.match(
      messageOf(() => loadText('storage: local')),
      /no flavor "dev".*set SETTINGS_FLAVOR to nothing/,
    );
  });

  test('an empty SETTINGS_FLAVOR makes the top level the configuration', () => {
    const { config, warnings } = loadText('storage: local\nstorage_path: /x', { SETTINGS_FLAVOR: '' });
    assert.equal(config.flavor, undefined);
    assert.deepEqual(config.storage, { driver: 'local', path: '/x' });
    assert.deepEqual(warnings, []);
  });
});

describe('_env:NAME and _env:NAME:default', () => {
  for (const [written, env, expected] of [
    ['_env:X', {}, null],
    ['"_env:X:"', {}, null],
    ['_env:X:default', { X: '' }, null],
    ['_env:X:a:b:c', {}, 'a:b:c'],
    ['_env:X:true', {}, true],
    ['_env:X', { X: 'yes' }, true],
    ['_env:X', { X: 'off' }, false],
    ['_env:X', { X: '5000' }, 5000],
    ['_env:X', { X: '0123' }, 83],
    ['_env:X', { X: '0x1f' }, 31],
    ['_env:X', { X: '1_000' }, 1000],
    ['_env:X', { X: '1:30' }, 90],
    ['_env:X', { X: '~' }, null],
    ['_env:X', { X: '[a, b]' }, ['a', 'b']],
    ['_env:X:[a, b]', {}, ['a', 'b']],
    ['_env:X', { X: '{a: b}' }, { a: 'b' }],
    ['_env:X', { X: '"0123"' }, '0123'],
    ['{deep: [_env:X]}', { X: '1' }, { deep: [1] }],
  ] as const) {
    test(`${written} with ${JSON.stringify(env)} is ${JSON.stringify(expected)}`, () => {
      // `issue` takes anything; null is its default, true
      assert.deepEqual(loadKeys({ issue: written }, env).config.issue, expected ?? true);
    });
  }

  for (const secret of [
    '0123',
    '12345678901234567890',
    '@a',
    '%a',
    '*a',
    '&a',
    '!a',
    '`a',
    '[a',
    'a: b',
    'a #b',
    '"a',
    'yes',
    '-',
  ]) {
    test(`a text is taken as the variable holds it: ${secret}`, () => {
      assert.equal(loadKeys({ secret_key: '_env:X' }, { X: secret }).config.secretKey, secret);
      assert.equal(loadKeys({ secret_key: '_env:X' }, { X: ` ${secret}\n` }).config.secretKey, secret);
    });
  }

  for (const [text, expected] of [
    ['"0123"', '0123'],
    ["'a''b'", "a'b"],
    ['""', undefined],
    ['"a"b"', '"a"b"'],
    ['null', undefined],
  ] as const) {
    test(`quotes around a text are removed if they are YAML's: ${text}`, () => {
      assert.equal(loadKeys({ secret_key: '_env:X' }, { X: text }).config.secretKey, expected);
    });
  }

  test('a text in the file is unchanged too', () => {
    assert.equal(loadKeys({ secret_key: '0123' }).config.secretKey, '0123');
    assert.equal(loadKeys({ secret_key: 'yes' }).config.secretKey, 'yes');
  });

  test('in nested maps and in lists', () => {
    const { config } = loadKeys(
      { cors: '{origins: _env:A, max_age: _env:B:60}', registry_endpoints: '[_env:A, _env:C, b:5000]' },
      { A: 'http://a' },
    );
    assert.deepEqual([config.cors?.origins, config.cors?.maxAgeSeconds], [['http://a'], 60]);
    assert.deepEqual(config.registryEndpoints, ['http://a', 'b:5000']);
  });

  test('a map whole', () => {
    const { config } = loadKeys({ cors: '_env:C' }, { C: '{origins: "https://a", max_age: 5}' });
    assert.deepEqual([config.cors?.origins, config.cors?.maxAgeSeconds], [['https://a'], 5]);
  });

  for (const [key, text] of [
    ['debug', '[a'],
    ['issue', '{a'],
    ['issue', '!!python/object:x'],
    ['cors', '{origins: ['],
    ['registry_endpoints', '[a'],
    ['cors.max_age', '@'],
  ] as const) {
    test(`bad YAML for ${key} stops the start and names the variable: ${text}`, () => {
      const keys = key === 'cors.max_age' ? { cors: '{origins: a, max_age: _env:X}' } : { [key]: '_env:X' };
      const message = messageOf(() => loadKeys(keys, { X: text }));
      assert.ok(message.startsWith(`${textFile}:4: ${key} (from the variable X) is not valid YAML: `), message);
    });
  }
});

describe('each key has one type', () => {
  for (const [written, expected] of [
    ['true', true],
    ['yes', true],
    ['"true"', true],
    ['"True"', true],
    ['1', true],
    ['on', true],
    ['false', false],
    ['"false"', false],
    ['0', false],
    ['NO', false],
    ['~', undefined],
    ['', undefined],
  ] as const) {
    test(`a boolean written ${JSON.stringify(written)} is ${expected ?? 'the default'}`, () => {
      const file = loadKeys({ standalone: written, disable_token_auth: written, storage_redirect: written }).config;
      const env = loadKeys({ standalone: '_env:X', debug: '_env:X' }, { X: written }).config;
      assert.equal(file.isStandalone, expected ?? true);
      assert.equal(file.disableTokenAuth, expected ?? false);
      assert.equal(file.storageRedirect, expected ?? false);
      assert.equal(env.isStandalone, expected ?? true);
      assert.equal(env.debug, expected ?? false);
    });
  }

  test('the defaults: standalone is on, loglevel is info, all other keys are off', () => {
    const { config, warnings } = loadKeys({});
    assert.deepEqual(config, {
      file: textFile,
      flavor: 'dev',
      host: '127.0.0.1',
      port: 5000,
      workers: 1,
      storage: { driver: 'local', path: './data' },
      storageRedirect: false,
      v1Projection: 'eager',
      v1Layers: 'copy',
      v1Images: 'keep',
      nginxXAccelRedirect: undefined,
      logLevel: 'info',
      debug: false,
      issue: true,
      isStandalone: true,
      disableTokenAuth: false,
      indexEndpoint: undefined,
      registryEndpoints: undefined,
      publicUrl: undefined,
      pushEndpoint: undefined,
      absoluteLocations: 'auto',
      indexChildren: 'required',
      v2VersionHeader: 'auto',
      privilegedKey: undefined,
      secretKey: undefined,
      secretKeyPrevious: [],
      hasSearch: false,
      auth: undefined,
      immutableTags: [],
      gc: { everyMs: 86_400_000, graceMs: 259_200_000 },
      pages: { allowsInsecureLogin: false, trustedKeys: [] },
      quotas: [],
      retention: { undoMs: 1_209_600_000, rules: [], ignorePullsBy: [...SCANNERS] },
      trustedProxies: 0,
      uploadsAtOnce: 100,
      downloadsAtOnce: 256,
      unpackLimits: { maxBytes: 107_374_182_400, maxRatio: 200 },
      isMirror: false,
      cors: undefined,
    });
    assert.deepEqual(warnings, []);
  });

  for (const [written, level] of [
    ['DEBUG', 'debug'],
    ['Info', 'info'],
    ['warn', 'warning'],
    ['WARNING', 'warning'],
    ['error', 'error'],
    ['fatal', 'critical'],
    ['critical', 'critical'],
  ]) {
    test(`loglevel ${written} is ${level}`, () => {
      assert.equal(loadKeys({ loglevel: written }).config.logLevel, level);
    });
  }

  test('local and file are one storage, in any case', () => {
    for (const storage of ['local', 'file', 'Local', 'FILE']) {
      assert.deepEqual(loadKeys({ storage }).config.storage, { driver: 'local', path: './data' });
    }
  });

  test('false switches off what null does', () => {
    const off = ['search_backend', 'nginx_x_accel_redirect', 'privileged_key', 'index_endpoint', 'registry_endpoints'];
    const keys = Object.fromEntries([...off, 'mirroring', 'cors'].map((key) => [key, false]));
    const { config, warnings } = loadKeys(keys);
    assert.deepEqual(config, loadKeys({}).config);
    assert.deepEqual(warnings, []);
  });

  test('trailing slashes are removed from URLs, not from endpoints', () => {
    const { config } = loadKeys({ index_endpoint: 'https://index.docker.io/', registry_endpoints: '"r1:5000, r2"' });
    assert.equal(config.indexEndpoint, 'https://index.docker.io');
    assert.equal(config.registryEndpoints, 'r1:5000, r2');
  });

  test('cors takes lists, and texts with commas', () => {
    const { config } = loadKeys(
      { cors: '{origins: _env:O, methods: "GET, HEAD", headers: [A, B], supports_credentials: yes, max_age: "60"}' },
      { O: '*' },
    );
    assert.deepEqual(config.cors?.origins, ['*']);
    assert.deepEqual(config.cors?.methods, ['GET', 'HEAD']);
    assert.deepEqual(config.cors?.headers, ['A', 'B']);
    assert.equal(config.cors?.supportsCredentials, true);
    assert.equal(config.cors?.maxAgeSeconds, 60);
  });
});

describe('S3', () => {
  test('boto_bucket takes precedence over s3_bucket', () => {
    const bucket = (keys: Record<string, string>) => s3Options({ boto_bucket: null, ...keys }).bucket;
    assert.equal(bucket({ boto_bucket: 'one' }), 'one');
    assert.equal(bucket({ s3_bucket: 'two' }), 'two');
    assert.equal(bucket({ boto_bucket: 'one', s3_bucket: 'two' }), 'one');
    assert.equal(bucket({ boto_bucket: 'REPLACEME', s3_bucket: 'two' }), 'two');
    assert.equal(bucket({ boto_bucket: 'one', s3_bucket: 'REPLACEME' }), 'one');
  });

  test('the defaults are HTTPS, Amazon, the bucket in the host name, and credentials of the SDK', () => {
    assert.deepEqual(s3Options({}), {
      bucket: 'bucket',
      keyPrefix: 'registry/',
      encrypt: false,
      useTls: true,
      forcePathStyle: false,
    });
    assert.equal(s3Options({ s3_secure: false }).useTls, false);
    assert.equal(s3Options({ s3_encrypt: '"true"' }).encrypt, true);
  });

  test('two keys are the credentials; without both the SDK finds credentials', () => {
    const credentials = { accessKeyId: '0012', secretAccessKey: '12345' };
    assert.deepEqual(s3Options({ s3_access_key: '0012', s3_secret_key: '12345' }).credentials, credentials);
    assert.equal(s3Options({ s3_access_key: null, s3_secret_key: '_env:UNSET' }).credentials, undefined);
  });

  const addresses: { keys: Record<string, unknown>; endpoint?: string; region?: string }[] = [
    { keys: { boto_host: 'ceph.local' }, endpoint: 'https://ceph.local' },
    { keys: { boto_host: 'ceph.local', boto_port: 7480 }, endpoint: 'https://ceph.local:7480' },
    { keys: { boto_host: '127.0.0.1', boto_port: '"9000"', s3_secure: false }, endpoint: 'http://127.0.0.1:9000' },
    { keys: { boto_host: '"[::1]"', boto_port: 80, s3_secure: false }, endpoint: 'http://[::1]' },
    { keys: { boto_host: 'ceph.local', s3_region: 'eu-1' }, endpoint: 'https://ceph.local', region: 'eu-1' },
    { keys: { boto_host: 's3.amazonaws.com' } },
    { keys: { boto_host: 's3.eu-central-1.amazonaws.com' }, region: 'eu-central-1' },
    { keys: { boto_host: 's3-eu-west-1.amazonaws.com', boto_port: 443 }, region: 'eu-west-1' },
    { keys: { boto_host: 's3.cn-north-1.amazonaws.com.cn' }, region: 'cn-north-1' },
    { keys: { boto_host: 's3-eu-west-1.amazonaws.com', s3_region: 'us-west-2' }, region: 'us-west-2' },
    { keys: { s3_region: 'eu-central-1' }, region: 'eu-central-1' },
  ];
  for (const { keys, endpoint, region } of addresses) {
    test(`${JSON.stringify(keys)} goes to ${endpoint ?? 'Amazon'}, region ${region ?? 'unknown'}`, () => {
      const options = s3Options(keys);
      assert.equal(options.endpoint, endpoint);
      assert.equal(options.region, region);
      assert.equal(Object.hasOwn(options, 'region'), region !== undefined);
    });
  }

  for (const [name, forcePathStyle] of [
    ['boto.s3.connection.SubdomainCallingFormat', false],
    ['boto.s3.connection.OrdinaryCallingFormat', true],
    ['boto.s3.connection.VHostCallingFormat', false],
    ['OrdinaryCallingFormat', true],
  ] as const) {
    test(`boto_calling_format ${name}`, () => {
      assert.equal(s3Options({ boto_calling_format: name }).forcePathStyle, forcePathStyle);
    });
  }

  test('VHostCallingFormat and a port without a host give a warning', () => {
    const { warnings } = loadKeys({ ...S3, boto_calling_format: 'VHostCallingFormat', boto_port: 9000 });
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /boto_port is ignored/);
    assert.match(warnings[1] ?? '', /boto_calling_format is treated as SubdomainCallingFormat/);
  });
});

describe("the variables of docker-registry's launcher", () => {
  const rows: { env: Env; host?: string; port?: number }[] = [
    { env: {} },
    { env: { REGISTRY_PORT: '5001' }, port: 5001 },
    { env: { REGISTRY_PORT: '0' }, port: 0 },
    { env: { REGISTRY_PORT: '"5_001" # YAML' }, port: 5001 },
    { env: { REGISTRY_PORT: '', PORT_WWW: '8000' }, port: 8000 },
    { env: { REGISTRY_PORT: '5001', PORT_WWW: '8000' }, port: 5001 },
    { env: { REGISTRY_HOST: '0.0.0.0' }, host: '0.0.0.0' },
    { env: { REGISTRY_HOST: '"::"' }, host: '::' },
    { env: { REGISTRY_HOST: '' } },
    {
      env: {
        GUNICORN_WORKERS: '[',
        GUNICORN_OPTS: '--preload',
        GUNICORN_GRACEFUL_TIMEOUT: '3600',
        NEW_RELIC_LICENSE_KEY: 'x',
      },
    },
  ];
  for (const { env, host = '127.0.0.1', port = 5000 } of rows) {
    test(`${JSON.stringify(env)} listens on ${host}:${port}`, () => {
      const { config, warnings } = loadKeys({}, env);
      assert.equal(config.host, host);
      assert.equal(config.port, port);
      assert.deepEqual(warnings, []);
    });
  }

  test('the shipped file: REGISTRY_PORT and STORAGE_PATH', () => {
    const { config, warnings } = loadFixture('../../../config.yml', {
      REGISTRY_PORT: '5001',
      STORAGE_PATH: '/srv/registry',
    });
    assert.equal(config.port, 5001);
    assert.deepEqual(config.storage, { driver: 'local', path: '/srv/registry' });
    assert.deepEqual(warnings, []);
  });
});
