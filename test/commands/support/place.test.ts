import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { AuthConfig, HtpasswdPlace } from '../../../lib/auth/create-authenticator.ts';
import { isPlaceOfServer, usersPlaceOf } from '../../../lib/commands/support/place.ts';
import { configuredStorage, type StorageConfig } from '../../../lib/storage/open.ts';
import type { S3DriverOptions } from '../../../lib/storage/s3-client.ts';

const bucket = (options: Partial<S3DriverOptions> = {}): StorageConfig => ({
  driver: 's3',
  options: { bucket: 'images', keyPrefix: 'registry/', ...options },
});
const credentials = { accessKeyId: 'access', secretAccessKey: 'secret' };

function configOf(storage: StorageConfig, htpasswd?: HtpasswdPlace) {
  const auth: AuthConfig = { htpasswd, oidc: [], realm: 'Stowage', groups: {}, rules: undefined };
  return { file: '/etc/config.yml', flavor: 'prod', storage, auth };
}

function serverOf(config: ReturnType<typeof configOf>) {
  const { file, flavor, storage } = config;
  return {
    ...{ pid: 1, startedAt: undefined, file, flavor, directory: '/srv', url: 'http://127.0.0.1:5000' },
    ...{ place: configuredStorage(storage).location, users: usersPlaceOf(config) },
  };
}

describe('the place of a command', () => {
  const served = serverOf(configOf(bucket({ endpoint: 'http://minio:9000', credentials })));

  it('is that of the server for the same endpoint, bucket and prefix, independently of credentials and region', async () => {
    const config = configOf(bucket({ endpoint: 'http://minio:9000', region: 'here' }));
    assert.equal(await isPlaceOfServer(config, 'storage', [served]), true);
    assert.doesNotMatch(JSON.stringify(served), /access|secret/);
  });

  for (const [title, options] of [
    ['another endpoint', { endpoint: 'http://minio:9001' }],
    ['no endpoint', {}],
    ['another bucket', { endpoint: 'http://minio:9000', bucket: 'others' }],
    ['another prefix', { endpoint: 'http://minio:9000', keyPrefix: 'registry2/' }],
    ['no prefix', { endpoint: 'http://minio:9000', keyPrefix: '' }],
  ] as const) {
    it(`differs from that of the server with ${title}`, async () => {
      await assert.rejects(isPlaceOfServer(configOf(bucket(options)), 'storage', [served]), /pid 1, flavor prod/);
    });
  }

  for (const [title, own, other] of [
    ['a file', { kind: 'file', path: '/srv/users' }, { kind: 'file', path: '/srv/others' }],
    ['an object', { kind: 'object', bucket: 'b', key: 'users' }, { kind: 'object', bucket: 'b', key: 'others' }],
    ['a secret', { kind: 'secret', arn: 'arn:aws:x:1' }, { kind: 'secret', arn: 'arn:aws:x:2' }],
  ] as const) {
    it(`for users is that of the server for the same htpasswd: ${title}`, async () => {
      const server = serverOf(configOf(bucket(), own));
      assert.equal(await isPlaceOfServer(configOf(bucket({ bucket: 'c' }), own), 'users', [server]), true);
      const would = other.kind === 'file' ? /would write to .*pid 1/ : /would print a line for .*pid 1/;
      await assert.rejects(isPlaceOfServer(configOf(bucket(), other), 'users', [server]), would);
    });
  }

  it('is that of the server behind a symbolic link, also if the directory does not exist yet', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stowage-links-'));
    try {
      await mkdir(join(directory, 'real'));
      await symlink('real', join(directory, 'link'));
      const local = (name: string) => configOf({ driver: 'local', path: join(directory, name, 'gone/data') });
      assert.equal(await isPlaceOfServer(local('link'), 'storage', [serverOf(local('real'))]), true);
      await assert.rejects(isPlaceOfServer(local('other'), 'storage', [serverOf(local('real'))]), /pid 1/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('is refused with the names of three servers and the number of the others', async () => {
    const servers = [1, 2, 3, 4, 5].map((pid) => ({ ...served, pid }));
    await assert.rejects(isPlaceOfServer(configOf(bucket()), 'storage', servers), /pid 3, [^)]*\), and 2 more: /);
  });

  it('is not confirmed without a server of the same configuration file', async () => {
    assert.equal(await isPlaceOfServer(configOf(bucket()), 'storage', []), false);
    assert.equal(await isPlaceOfServer(configOf(bucket()), 'storage', [{ ...served, file: '/etc/other.yml' }]), false);
  });
});
