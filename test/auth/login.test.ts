import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type RegistryServer, startRegistry } from '../registry-server.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
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
    it(`v2: ${path} ${'Authorization' in headers ? 'with a wrong password' : 'without one'} is challenged`, async () => {
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

  it('v1: a login is challenged and checked, the ping is not', async () => {
    const response = await fetch(new URL('/v1/users/', server.url));
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('WWW-Authenticate'), 'Basic realm="Ours"');
    assert.deepEqual(await response.json(), { error: 'log in first' });
    assert.equal(await status('/v1/users/', basic('alice')), 200);
    assert.equal(await status('/v1/_ping'), 200);
    assert.equal(await status('/healthz'), 200);
  });

  it('v2: who has logged in comes in', async () => {
    assert.equal(await status('/v2/', basic('alice')), 200);
    assert.equal(await status('/v2/_catalog', basic('alice')), 200);
  });
});
