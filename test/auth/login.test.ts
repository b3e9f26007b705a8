import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, openTestAuth } from './test-auth.ts';

describe('a registry with users', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'] }) });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(new URL(path, server.url), { headers })).status;

  for (const [path, headers] of [
    ['/v2/', {}],
    ['/v2', {}],
    ['/v2/', basic('alice', 'wrong')],
    ['/v2/_catalog', {}],
    ['/v2/a/b/tags/list', {}],
    ['/v2/nowhere', basic('alice', 'wrong')],
  ] as const) {
    it(`v2: ${path} ${'Authorization' in headers ? 'with a wrong password' : 'without a login'} is challenged`, async () => {
      const response = await fetch(new URL(path, server.url), { headers });
      assert.equal(response.status, 401);
      assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
      const { errors } = (await response.json()) as { errors: { code: string }[] };
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['UNAUTHORIZED'],
      );
    });
  }

  it('v1: users are challenged and their passwords checked; the ping needs no login', async () => {
    const response = await fetch(new URL('/v1/users/', server.url));
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    assert.deepEqual(await response.json(), { error: 'log in first' });
    assert.equal(await status('/v1/users/', basic('alice')), 200);
    assert.equal(await status('/v1/_ping'), 200);
    assert.equal(await status('/healthz'), 200);
  });

  it('a tag with the name of the ping needs a login to push and pull, by v1 and v2', async () => {
    const alice = new V2Client(server.url, basic('alice'));
    const { digest } = await pushImage(alice, 'team/ping', '_ping', { contents: ['x'] });
    assert.equal(
      (await alice.send('HEAD', '/v2/team/ping/manifests/_ping')).headers.get('Docker-Content-Digest'),
      digest,
    );
    const image = newImage();
    const v1 = new V1Client(server.url, basic('alice').Authorization);
    await v1.push('team/ping', [image], { _ping: image.id });
    assert.equal(await status('/v1/repositories/team/ping/tags/_ping', basic('alice')), 200);
    for (const path of ['/v2/team/ping/manifests/_ping', '/v1/repositories/team/ping/tags/_ping']) {
      assert.equal(await status(path), 401);
      assert.equal(await status(path, basic('alice', 'wrong')), 401);
    }
  });

  it('v2: a correct password is accepted', async () => {
    assert.equal(await status('/v2/', basic('alice')), 200);
    assert.equal(await status('/v2/_catalog', basic('alice')), 200);
  });
});
