import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { routePath } from '../../lib/http/route-path.ts';
import { createLog } from '../../lib/model/log.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { createApp } from '../../lib/server/app.ts';
import { openFiles } from '../storage/open.ts';
import { TEST_KEYS, TEST_SETTINGS, TEST_VERSION } from '../support/registry-server.ts';

/** Method, path, and the path by which its route is found; absent where it is the same. */
const ROWS: [string, string, string?][] = [
  ['GET', '/v2/a/b/c/manifests/latest', '/v2/a%2Fb%2Fc/manifests/latest'],
  ['GET', '/v2/a/manifests/manifests/manifests', '/v2/a%2Fmanifests/manifests/manifests'],
  ['GET', '/v2/a/b/blobs/sha256:0', '/v2/a%2Fb/blobs/sha256:0'],
  ['POST', '/v2/a/b/blobs/uploads', '/v2/a%2Fb/blobs/uploads'],
  ['POST', '/v2/a/b/blobs/uploads/', '/v2/a%2Fb/blobs/uploads/'],
  ['PATCH', '/v2/a/blobs/uploads/blobs/uploads/x', '/v2/a%2Fblobs%2Fuploads/blobs/uploads/x'],
  ['GET', '/v2/a/b/tags/list', '/v2/a%2Fb/tags/list'],
  ['GET', '/v2/a/b/referrers/sha256:0', '/v2/a%2Fb/referrers/sha256:0'],
  ['GET', '/v2/a%2Fb/c/tags/list', '/v2/a%2Fb%2Fc/tags/list'],
  ['GET', '/v2/a/%FF/tags/list', '/v2/a%2F%25FF/tags/list'],
  ['GET', '/v2/a/tags/list'],
  ['GET', '/v2/_catalog'],
  ['GET', '/v2/_stowage/history/a/b/c', '/v2/_stowage/history/a%2Fb%2Fc'],
  ['POST', '/v2/_stowage/history/a/tags/b', '/v2/_stowage/history/a%2Ftags%2Fb'],
  ['GET', '/v2/_stowage/history/a'],
  ['GET', '/v2/_stowage/usage'],
  ['GET', '/v2/tags/list'],
  ['GET', '/v1/repositories/a/b/tags/latest', '/v1/repositories/a%2Fb/tags/latest'],
  ['GET', '/v1/repositories/a/b/tags/latest/json', '/v1/repositories/a%2Fb/tags/latest/json'],
  ['GET', '/v1/repositories/a/tags/tags/json', '/v1/repositories/a/tags/tags/json'],
  ['PUT', '/v1/repositories/a/tags/tags/json', '/v1/repositories/a%2Ftags/tags/json'],
  ['GET', '/v1/repositories/a/b/images', '/v1/repositories/a%2Fb/images'],
  ['GET', '/v1/repositories/tags/json', '/v1/repositories/tags/json'],
  ['GET', '/v1/repositories/tags/tags', '/v1/repositories/tags/tags'],
  ['DELETE', '/v1/repositories/a/b'],
  ['PUT', '/v1/repositories/a/b/'],
  ['GET', '/v1/images/a/json'],
  ['GET', '/healthz'],
];

describe('the path by which a route is found', () => {
  for (const [method, path, expected = path] of ROWS) {
    it(`is ${expected} for ${method} ${path}`, () => assert.equal(routePath(method, path), expected));
  }

  it('lets all routes do without patterns that take slashes, but for those of whole v1 repositories', async () => {
    const storage = await openFiles();
    const app = createApp({
      registry: assembleRegistry(storage.driver, { copiesLayers: false }),
      keys: TEST_KEYS,
      log: createLog('critical'),
      auth: { gate: Gate.forOpenRegistry(), limits: new RequestLimits() },
      isReady: async () => true,
      settings: { ...TEST_SETTINGS, hasSearch: true },
      version: TEST_VERSION,
    });
    const patterns = app.routes.map(({ path }) => path).filter((path) => /[{(]/.test(path));
    assert.deepEqual([...new Set(patterns)], ['/v1/repositories/:name{.+}']);
    await storage.close();
  });
});
