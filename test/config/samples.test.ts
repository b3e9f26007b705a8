import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { UNUSED_KEYS } from '../../lib/config/keys.ts';
import type { LoadedConfig } from '../../lib/config/read-parsed.ts';
import { type Env, loadFixture, loadKeys, messageOf, textFile, withoutPosition } from './load-text.ts';

const SHIPPED = '../../../config.yml';
const FLAVORS_091 = {
  run: ['local', 's3', 'cloudfronts3', 'ceph-s3', 'dev', 'test', 'prod'],
  refused: [
    'common',
    'azureblob',
    'gcs',
    'swift',
    'glance',
    'openstack',
    'glance-swift',
    'openstack-swift',
    'elliptics',
    'oss',
  ],
};

/** The keys that are warned of, in order. */
const warnedOf = ({ config, warnings }: LoadedConfig) =>
  warnings.map((warning) => {
    return withoutPosition(warning, config.file).split(' ')[0];
  });

describe('files of docker-registry start Stowage unchanged', () => {
  test('0.6.5, dev: only the placeholder in place of a secret gives a warning', () => {
    const loaded = loadFixture('registry-0.6.5.yml');
    assert.deepEqual(loaded.config.storage, { driver: 'local', path: '/tmp/registry' });
    assert.equal(loaded.config.logLevel, 'debug');
    assert.equal(loaded.config.secretKey, undefined);
    assert.deepEqual(warnedOf(loaded), ['secret_key']);
  });

  test('0.6.5, prod as edited by the image: no warning about Redis and mail', () => {
    const loaded = loadFixture('registry-0.6.5-edited.yml', { SETTINGS_FLAVOR: 'prod' });
    assert.deepEqual(loaded.config.storage, {
      driver: 's3',
      options: {
        bucket: 'images.example.com',
        keyPrefix: 'prod/',
        credentials: { accessKeyId: '00112233445566778899', secretAccessKey: '0123456789' },
        encrypt: false,
        useTls: false,
        forcePathStyle: false,
      },
    });
    assert.equal(loaded.config.secretKey, '31415926535897932384626433832795');
    assert.deepEqual(warnedOf(loaded), []);
  });

  test('0.6.5, prod with Redis', () => {
    const env = { SETTINGS_FLAVOR: 'prod', CACHE_REDIS_HOST: 'redis', CACHE_LRU_REDIS_HOST: 'redis' };
    assert.deepEqual(warnedOf(loadFixture('registry-0.6.5-edited.yml', env)), ['cache', 'cache_lru']);
  });

  test('0.6.5, config_s3.yml', () => {
    const env = { SETTINGS_FLAVOR: 'prod', AWS_BUCKET: 'bucket', AWS_KEY: 'k', AWS_SECRET: 's' };
    const loaded = loadFixture('registry-0.6.5-s3.yml', env);
    assert.ok(loaded.config.storage.driver === 's3');
    assert.equal(loaded.config.storage.options.keyPrefix, 'images/');
    assert.deepEqual(warnedOf(loaded), []);
  });

  test('the file of the example bucket', () => {
    const loaded = loadFixture('example-bucket.yml');
    assert.deepEqual(loaded.config.storage, { driver: 'local', path: '/srv/example-bucket' });
    assert.equal(loaded.config.logLevel, 'debug');
    assert.equal(loaded.config.hasSearch, false);
    assert.deepEqual(warnedOf(loaded), []);
    const database = loadFixture('example-bucket.yml', {
      SQLALCHEMY_INDEX_DATABASE: 'sqlite:////x',
      SEARCH_BACKEND: 'SQLAlchemy',
    });
    assert.equal(database.config.hasSearch, true);
    assert.deepEqual(warnedOf(database), ['sqlalchemy_index_database']);
  });

  for (const flavor of FLAVORS_091.run) {
    test(`0.9.1, ${flavor}: no warnings`, () => {
      const loaded = loadFixture('registry-0.9.1.yml', { SETTINGS_FLAVOR: flavor, AWS_BUCKET: 'bucket' });
      assert.equal(loaded.config.flavor, flavor);
      assert.deepEqual(warnedOf(loaded), []);
    });
  }

  for (const flavor of FLAVORS_091.refused) {
    test(`0.9.1, ${flavor}: the error names the storage that is not supported`, () => {
      assert.match(
        messageOf(() => loadFixture('registry-0.9.1.yml', { SETTINGS_FLAVOR: flavor })),
        /: storage .*allowed: local \(or file\) and s3/,
      );
    });
  }

  test('0.9.1, config_mirror.yml', () => {
    const loaded = loadFixture('registry-0.9.1-mirror.yml');
    assert.equal(loaded.config.isStandalone, false);
    assert.equal(loaded.config.isMirror, true);
    assert.deepEqual(warnedOf(loaded), ['mirroring.source_index', 'mirroring.tags_cache_ttl']);
  });

  test('0.9.1 without merge keys, as 0.6 read it', () => {
    const text = readFileSync(new URL('fixtures/registry-0.9.1.yml', import.meta.url), 'utf8');
    assert.match(text, /<<: \*common/);
    const off = loadFixture('registry-0.9.1.yml', { SETTINGS_COMMON: 'off' });
    assert.deepEqual(off.config, loadFixture('registry-0.9.1.yml').config);
  });
});

/** Variable, its value, the key it sets and the value in effect; `ignored` where Stowage warns of the key instead. */
const VARIABLES: { flavors: string[]; rows: [string, string, string, unknown][] }[] = [
  {
    flavors: ['local', 'dev'],
    rows: [
      ['LOGLEVEL', 'ERROR', 'loglevel', 'error'],
      ['DEBUG', 'yes', 'debug', true],
      ['STANDALONE', 'false', 'standalone', false],
      ['INDEX_ENDPOINT', 'https://index/', 'index_endpoint', 'https://index'],
      ['STORAGE_REDIRECT', 'true', 'storage_redirect', true],
      ['DISABLE_TOKEN_AUTH', '1', 'disable_token_auth', true],
      ['PRIVILEGED_KEY', '/k.pem', 'privileged_key', '/k.pem'],
      ['SEARCH_BACKEND', 'sqlalchemy', 'search_backend', 'sqlalchemy'],
      ['SQLALCHEMY_INDEX_DATABASE', 'sqlite:////x', 'sqlalchemy_index_database', 'ignored'],
      ['MIRROR_SOURCE', 'https://m', 'mirroring.source', 'https://m'],
      ['MIRROR_SOURCE_INDEX', 'https://i', 'mirroring.source_index', 'ignored'],
      ['MIRROR_TAGS_CACHE_TTL', '60', 'mirroring.tags_cache_ttl', 'ignored'],
      ['CACHE_REDIS_HOST', 'redis', 'cache', 'ignored'], // and no port: no crash
      ['CACHE_LRU_REDIS_HOST', 'redis', 'cache_lru', 'ignored'],
      ['SMTP_HOST', 'smtp', 'email_exceptions', 'ignored'],
      ['BUGSNAG', '0123', 'bugsnag', 'ignored'],
      ['CORS_ORIGINS', '*', 'cors.origins', ['*']],
      ['CORS_METHODS', '[GET, PUT]', 'cors.methods', ['GET', 'PUT']],
      ['CORS_HEADERS', 'X-A', 'cors.headers', ['X-A']],
      ['CORS_EXPOSE_HEADERS', '[X-B]', 'cors.expose_headers', ['X-B']],
      ['CORS_SUPPORTS_CREDENTIALS', 'on', 'cors.supports_credentials', true],
      ['CORS_MAX_AGE', '1:00', 'cors.max_age', 60],
      ['CORS_SEND_WILDCARD', 'true', 'cors.send_wildcard', 'ignored'],
      ['CORS_ALWAYS_SEND', 'no', 'cors.always_send', 'ignored'],
      ['CORS_AUTOMATIC_OPTIONS', 'off', 'cors.automatic_options', 'ignored'],
      ['CORS_VARY_HEADER', 'false', 'cors.vary_header', 'ignored'],
      ['CORS_RESOURCES', '{"/v1/*": {origins: a}}', 'cors.resources', 'ignored'],
      ['STORAGE_PATH', '/x', 'storage_path', '/x'],
    ],
  },
  {
    flavors: ['s3', 'prod', 'ceph-s3'],
    rows: [
      ['STORAGE_PATH', '/x', 'storage_path', '/x'],
      ['AWS_BUCKET', 'other', 'boto_bucket', 'other'],
      ['AWS_KEY', '0123', 's3_access_key', '_env:AWS_KEY'],
      ['AWS_SECRET', '%x', 's3_secret_key', '_env:AWS_SECRET'],
      ['AWS_ENCRYPT', 'false', 's3_encrypt', false],
      ['AWS_ENCRYPT', 'true', 's3_encrypt', true],
      ['AWS_SECURE', 'false', 's3_secure', false],
      ['AWS_SECURE', 'true', 's3_secure', true],
      ['AWS_HOST', 'minio', 'boto_host', 'minio'],
      ['AWS_PORT', '9000', 'boto_port', 9000],
      [
        'AWS_CALLING_FORMAT',
        'boto.s3.connection.OrdinaryCallingFormat',
        'boto_calling_format',
        'OrdinaryCallingFormat',
      ],
    ],
  },
  { flavors: ['s3', 'prod'], rows: [['AWS_REGION', 'eu-central-1', 's3_region', 'eu-central-1']] },
];

describe('each variable of the image sets its key', () => {
  const others: Env = {
    CORS_ORIGINS: 'a', // switches the map on
    ...{ AWS_BUCKET: 'bucket', AWS_KEY: 'k', AWS_SECRET: 's', AWS_HOST: 'h' },
  };

  for (const { flavors, rows } of VARIABLES) {
    for (const file of ['registry-0.9.1.yml', SHIPPED]) {
      for (const flavor of flavors) {
        for (const [variable, value, key, expected] of rows) {
          if (expected === 'ignored' && file === SHIPPED) continue;
          test(`${variable} sets ${key} in ${flavor} of ${file === SHIPPED ? 'config.yml' : file}`, () => {
            const loaded = loadFixture(file, { ...others, SETTINGS_FLAVOR: flavor, [variable]: value });
            if (expected === 'ignored') {
              assert.deepEqual(warnedOf(loaded), [key]);
              return;
            }
            const setting = loaded.settings.find(({ name }) => name === key);
            assert.deepEqual(setting, { name: key, value: expected, origin: `variable ${variable}` });
            assert.deepEqual(warnedOf(loaded), []);
          });
        }
      }
    }
  }

  for (const [flavor, variable, value, key] of [
    ['s3', 'AWS_USE_SIGV4', 'true', 's3_use_sigv4'],
    ['ceph-s3', 'AWS_DEBUG', '2', 'boto_debug'],
    ['cloudfronts3', 'CF_BASE_URL', 'https://x.cloudfront.net', 'cloudfront'],
  ] as const) {
    test(`${variable} in ${flavor}: a warning says that ${key} is ignored`, () => {
      const env = { ...others, SETTINGS_FLAVOR: flavor, [variable]: value };
      assert.deepEqual(warnedOf(loadFixture('registry-0.9.1.yml', env)), [key]);
    });
  }

  test('SECRET_KEY sets secret_key in the shipped file', () => {
    assert.equal(loadFixture(SHIPPED, { SECRET_KEY: '0123' }).config.secretKey, '0123');
  });

  test('a variable that is not set gives null, never a text such as !ENV_NOT_FOUND', () => {
    const loaded = loadFixture('registry-0.6.5-edited.yml', { SETTINGS_FLAVOR: 'prod' });
    assert.doesNotMatch(JSON.stringify(loaded), /ENV_NOT_FOUND/);
  });
});

describe('the shipped file', () => {
  for (const flavor of ['dev', 'local', 'test', 's3', 'ceph-s3', 'prod']) {
    for (const common of ['on', 'off']) {
      test(`gives no warnings: ${flavor}, common ${common}`, () => {
        const env = { SETTINGS_FLAVOR: flavor, SETTINGS_COMMON: common, AWS_BUCKET: 'bucket' };
        assert.deepEqual(loadFixture(SHIPPED, env).warnings, []);
      });
    }
  }

  test('dev keeps everything in ./data, and its ping shows no versions', () => {
    const { config } = loadFixture(SHIPPED);
    assert.deepEqual(config.storage, { driver: 'local', path: './data' });
    assert.equal(config.debug, false);
    assert.equal(config.logLevel, 'debug');
    assert.equal(config.issue, '"docker-registry server"');
  });

  test('s3 on another server', () => {
    const { config } = loadFixture(SHIPPED, {
      ...{ SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'bucket', AWS_KEY: 'k', AWS_SECRET: 's', AWS_HOST: '127.0.0.1' },
      ...{ AWS_PORT: '9000', AWS_SECURE: 'false', AWS_CALLING_FORMAT: 'boto.s3.connection.OrdinaryCallingFormat' },
    });
    assert.deepEqual(config.storage, {
      driver: 's3',
      options: {
        bucket: 'bucket',
        keyPrefix: 'registry/',
        credentials: { accessKeyId: 'k', secretAccessKey: 's' },
        encrypt: false,
        useTls: false,
        forcePathStyle: true,
        endpoint: 'http://127.0.0.1:9000',
      },
    });
  });
});

describe('keys without meaning', () => {
  for (const [name, { why, switchedOnBy, isSetByFalse }] of Object.entries(UNUSED_KEYS)) {
    test(`${name}: a warning with the reason if it is set, none if it is null`, () => {
      const [outer = '', inner] = name.split('.');
      const warningsOf = (value: unknown) =>
        loadKeys({ [outer]: inner === undefined ? value : { [inner]: value } }).warnings.map((text) =>
          withoutPosition(text),
        );
      const warning = `${name} is ignored: ${why}`;
      assert.deepEqual(warningsOf(switchedOnBy ? { [switchedOnBy]: 'x' } : 'x'), [warning]);
      assert.deepEqual(warningsOf(false), isSetByFalse ? [warning] : []);
      for (const off of [null, '_env:UNSET', 'REPLACEME']) assert.deepEqual(warningsOf(off), []);
      if (isSetByFalse) return;
      for (const off of [{ a: null, b: '_env:UNSET' }, 0]) assert.deepEqual(warningsOf(off), []);
    });
  }

  for (const [key, problem] of [
    ['storage_pth', 'storage_pth is not a known key and is ignored; did you mean storage_path?'],
    ['storage-path', 'storage-path is not a known key and is ignored; did you mean storage_path?'],
    ['Loglevel', 'Loglevel is not a known key and is ignored; did you mean loglevel?'],
    ['something_else', 'something_else is not a known key and is ignored'],
    ['__proto__', '__proto__ is not a known key and is ignored'],
    ['cors.x', 'cors.x is not a known key and is ignored'],
  ] as const) {
    test(`an unknown key gives a warning: ${key}`, () => {
      const keys = key === 'cors.x' ? { cors: '{x: 1}' } : Object.fromEntries([[key, 'secret']]);
      assert.deepEqual(loadKeys(keys).warnings, [`${textFile}:4: ${problem}`]);
    });
  }

  test('the warning about a nested key suggests the right name', () => {
    assert.match(loadKeys({ cors: '{orgins: x}' }).warnings[0] ?? '', /did you mean cors\.origins\?/);
  });

  test('an unknown key in a map of a variable gives a warning', () => {
    const loaded = loadKeys(
      { auth: '_env:AUTH', cors: '_env:CORS' },
      { AUTH: '{htpasswd: x}', CORS: '{resources: z, orgins: w}' },
    );
    assert.deepEqual(warnedOf(loaded), ['cors.resources', 'cors.orgins']);
  });

  test('keys that need another storage or name a Python module give a warning', () => {
    const s3 = { storage: 's3', boto_bucket: 'bucket', nginx_x_accel_redirect: '/acc', search_backend: 'my.index' };
    const loaded = loadKeys(s3);
    assert.equal(loaded.config.nginxXAccelRedirect, undefined);
    assert.equal(loaded.config.hasSearch, true);
    assert.deepEqual(warnedOf(loaded), ['nginx_x_accel_redirect', 'search_backend']);
    assert.equal(loadKeys({ nginx_x_accel_redirect: '/acc' }).config.nginxXAccelRedirect, '/acc');
  });
});
