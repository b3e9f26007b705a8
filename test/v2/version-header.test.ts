import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { V2VersionHeader } from '../../lib/v2/version-header.ts';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { loadKeys, messageOf } from '../config/load-text.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { send } from '../v1/send.ts';
import { V2Client } from './client.ts';
import { pushImage } from './image.ts';

const NAME = 'Docker-Distribution-Api-Version';

/** `User-Agent` of old engines. */
const OLD: Record<string, Record<string, string>> = {
  'Docker 0.11.1': { 'User-Agent': 'docker/0.11.1 go/go1.2.1 git-commit/fb99f99 kernel/6.1.0 os/linux arch/amd64' },
  'Docker 1.0.1': { 'User-Agent': 'docker/1.0.1 go/go1.2.1 git-commit/990021a kernel/3.13.0 os/linux arch/amd64' },
  'the ping of Docker 1.5.0': { 'User-Agent': 'Go 1.1 package http', 'Accept-Encoding': 'gzip' },
  'Docker 1.6.0': { 'User-Agent': 'docker/1.6.0 go/go1.4.2 git-commit/4749651 kernel/3.16.0 os/linux arch/amd64' },
  'Docker 1.9.1': {
    'User-Agent': 'docker/1.9.1 go/go1.4.2 git-commit/a34a1d5 kernel/6.1.0 os/linux arch/amd64',
    'Accept-Encoding': 'gzip',
    Connection: 'close',
  },
  'a client without a name': {},
};

const CURRENT = [
  'docker/1.10.3 go/go1.5.3 git-commit/20f81dd kernel/4.4.0 os/linux arch/amd64',
  'docker/1.12.6 go/go1.6.4 git-commit/78d1802 kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/1.12.6 \\(linux\\))',
  'docker/17.03.0-ce go/go1.7.5 git-commit/3a232c8 kernel/4.9 os/linux arch/amd64',
  'docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/1.9.1 \\(linux\\))',
  'Docker-Client/20.10.24 (linux)',
  'Docker-Client/1.9.1 (linux)',
  'Go-http-client/1.1',
  'containerd/2.4.2',
  'skopeo/1.9.3',
  'a name of no tool that is known',
];

describe('Docker-Distribution-Api-Version', () => {
  let storage: OpenedStorage;
  before(async () => {
    storage = await openFiles();
  });
  after(() => storage.close());

  const start = async (v2VersionHeader?: V2VersionHeader, more = {}) =>
    await startRegistry(storage.driver, { ...(v2VersionHeader && { v2VersionHeader }), ...more });

  describe('by default', () => {
    let server: RegistryServer;
    before(async () => {
      server = await start();
      await pushImage(new V2Client(server.url), 'version/app', 'v1', { contents: ['x'] });
    });
    after(() => server.stop());

    const paths: [method: string, path: string, status: number][] = [
      ['GET', '/v2/', 200],
      ['GET', '/v2', 200],
      ['GET', '/v2/version/app/manifests/v1', 200],
      ['HEAD', '/v2/version/app/manifests/v1', 200],
      ['GET', '/v2/version/app/manifests/none', 404],
      ['POST', '/v2/version/app/blobs/uploads/', 202],
      ['GET', '/v2/nothing', 404],
      ['PUT', '/v2/version/app/tags/list', 405],
      ['GET', `/v2/${'x'.repeat(3000)}`, 414],
    ];
    for (const [title, headers] of Object.entries(OLD)) {
      it(`is not sent to ${title}, which would stop using v1`, async () => {
        for (const [method, path, status] of paths) {
          const answer = await send(server.url, method, path, { headers });
          assert.equal(answer.status, status, `${method} ${path}`);
          assert.deepEqual(answer.lines(NAME), [], `${method} ${path}`);
          assert.deepEqual(answer.lines('Vary'), ['User-Agent']);
        }
      });
    }
    for (const userAgent of CURRENT) {
      it(`is sent to ${userAgent.slice(0, 40)}`, async () => {
        for (const [method, path, status] of paths) {
          const answer = await send(server.url, method, path, { headers: { 'User-Agent': userAgent } });
          assert.equal(answer.status, status, `${method} ${path}`);
          assert.deepEqual(answer.lines(NAME), ['registry/2.0'], `${method} ${path}`);
          assert.deepEqual(answer.lines('Vary'), ['User-Agent']);
        }
      });
    }

    it('is not sent by v1', async () => {
      for (const path of ['/v1/_ping', '/v1/repositories/version/app/tags', '/', '/v2x']) {
        const answer = await send(server.url, 'GET', path, {
          headers: { 'User-Agent': 'Docker-Client/20.10.24 (linux)' },
        });
        assert.deepEqual(answer.lines(NAME), [], path);
      }
    });
  });

  it('is sent with the challenge of a 401, where `docker manifest` reads it', async () => {
    const server = await start(undefined, { auth: await openTestAuth({ users: ['alice'] }) });
    const headers = { 'User-Agent': 'Docker-Client/20.10.24 (linux)' };
    const challenge = await send(server.url, 'GET', '/v2/', { headers });
    assert.equal(challenge.status, 401);
    assert.deepEqual(challenge.lines(NAME), ['registry/2.0']);
    const wrong = await send(server.url, 'GET', '/v2/', { headers: { ...headers, ...basic('alice', 'wrong') } });
    assert.equal(wrong.status, 401);
    assert.deepEqual(wrong.lines(NAME), ['registry/2.0']);
    const old = await send(server.url, 'GET', '/v2/', { headers: OLD['Docker 1.9.1'] ?? {} });
    assert.equal(old.status, 401);
    assert.deepEqual(old.lines(NAME), []);
    await server.stop();
  });

  for (const [mode, forOld, forCurrent] of [
    ['always', ['registry/2.0'], ['registry/2.0']],
    ['never', [], []],
  ] as const) {
    it(`with v2_version_header: ${mode} does not depend on the client`, async () => {
      const server = await start(mode);
      for (const path of ['/v2/', '/v2/none/tags/list']) {
        const old = await send(server.url, 'GET', path, { headers: OLD['Docker 1.9.1'] ?? {} });
        const current = await send(server.url, 'GET', path, { headers: { 'User-Agent': CURRENT[3] ?? '' } });
        assert.deepEqual([old.lines(NAME), current.lines(NAME)], [forOld, forCurrent]);
        assert.deepEqual([...old.lines('Vary'), ...current.lines('Vary')], []);
      }
      await server.stop();
    });
  }

  it('follows the key v2_version_header', () => {
    const modeOf = (keys: Record<string, unknown>) => loadKeys(keys).config.v2VersionHeader;
    assert.equal(modeOf({}), 'auto');
    assert.equal(modeOf({ v2_version_header: 'never' }), 'never');
    assert.match(
      messageOf(() => modeOf({ v2_version_header: 'sometimes' })),
      /v2_version_header .*auto, always or never/,
    );
  });
});
