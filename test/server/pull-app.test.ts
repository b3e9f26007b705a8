import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createLog } from '../../lib/model/log.ts';
import { openApp } from '../../lib/server/open-app.ts';
import { openRegistry } from '../../lib/server/open-registry.ts';
import { type Answer, openPullApp } from '../../lib/server/pull-app.ts';
import { isPull } from '../../lib/v2/pulls.ts';
import { loadKeys } from '../config/load-text.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';

const ORIGIN = 'http://registry.example';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const NAME_OF_EMPTY = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const PULLS = [
  '/v2',
  '/v2/',
  '/v2/app/manifests/latest',
  '/v2/app/manifests/other',
  `/v2/app/manifests/${DIGEST}`,
  '/v2/team/a/b/manifests/latest',
  '/v2/team%2Fa/manifests/latest',
  '/v2/UPPER/manifests/latest',
  `/v2/app/blobs/${NAME_OF_EMPTY}`,
  `/v2/app/blobs/${DIGEST}`,
  '/v2/app/blobs/uploads',
  '/v2/app/tags/list',
  '/v2/app/tags/list?n=1',
  '/v2/none/tags/list',
  '/v2/manifests/manifests/manifests',
  `/v2/${'a/'.repeat(300)}manifests/latest`,
];

const OTHERS = [
  '/',
  '/v1/_ping',
  '/v1/repositories/app/tags',
  '/v2/_catalog',
  '/v2/_token',
  '/v2/_stowage/history/app/tags/list',
  '/v2/%5Fstowage/history/app/tags/list',
  `/v2/app/referrers/${DIGEST}`,
  '/v2/app/blobs/uploads/0b0f0a9e-3f6b-4c5c-8f0e-0d0d6c1c4c5e',
  '/v2/app/manifests/',
  '/v2/app/tags/lists',
  '/v2//manifests/latest',
  '/v3/app/manifests/latest',
];

describe('an app that loads the rest when it is needed', () => {
  let storage: OpenedStorage;
  let whole: Answer;
  let answer: Answer;
  before(async () => {
    storage = await openFiles();
    const { config } = loadKeys({ secret_key: 'secret', cors: { origins: '*' } });
    const log = createLog('critical', () => true);
    const options = { log, driver: storage.driver, version: '0' };
    const app = await openApp(config, await openRegistry(config, options), options);
    whole = async (request, bindings) => await app.fetch(request, bindings);
    answer = await openPullApp(config, options);
    const manifest = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
    const put = async (path: string, method: string, body: string) => {
      const response = await answer(
        new Request(ORIGIN + path, { method, body, headers: { 'Content-Type': manifest.mediaType } }),
        {},
      );
      assert.equal(response.status, 201, path);
    };
    for (const name of ['app', 'team/a', 'team/a/b']) {
      await put(`/v2/${name}/manifests/latest`, 'PUT', JSON.stringify(manifest));
    }
    await put(`/v2/app/blobs/uploads/?digest=${NAME_OF_EMPTY}`, 'POST', '');
  });
  after(() => storage.close());

  const seen = async (by: Answer, path: string, method: string) => {
    const headers = { 'X-Request-Id': 'request', Origin: 'http://page.example' };
    const response = await by(new Request(ORIGIN + path, { method, headers }), {});
    return { status: response.status, headers: [...response.headers], body: await response.text() };
  };

  for (const path of [...PULLS, ...OTHERS]) {
    it(`answers ${path.slice(0, 60)} as the app of all routes does`, async () => {
      assert.equal(isPull({ method: 'GET', path: path.replace(/\?.*/, '') }), PULLS.includes(path));
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'PATCH']) {
        assert.deepEqual(await seen(answer, path, method), await seen(whole, path, method), method);
      }
    });
  }
});
