// Paths of any length and content are answered quickly and do not delay other requests.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { firstWithin, sendRaw } from '../support/raw-request.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';

/** With 1 KB of other headers, the longest path that the server reads. */
const LONGEST = 31_000;

/** Generous for a busy machine. Patterns that backtrack took half a minute. */
const MAX_MS = 500;

const UNITS = [
  '/',
  'a/',
  'a',
  'tags/',
  'manifests/',
  'blobs/uploads/',
  'images/',
  '%2F',
  '%25',
  '%ff',
  '../',
  'a/../',
  'seven-1/',
];

/** The beginning and the end of paths of every route. */
const ROUTES = [
  ['/v2/', '/tags/list'],
  ['/v2/', '/manifests/x'],
  ['/v2/', '/blobs/x'],
  ['/v2/', '/blobs/uploads/'],
  ['/v2/', '/blobs/uploads/x'],
  ['/v2/', '/referrers/x'],
  ['/v2/a/manifests/', ''],
  ['/v1/repositories/', '/tags'],
  ['/v1/repositories/', '/tags/x'],
  ['/v1/repositories/', '/tags/x/json'],
  ['/v1/repositories/', '/images'],
  ['/v1/repositories/', '/'],
  ['/v1/images/', '/json'],
  ['/v1/users/', '/'],
  ['/', ''],
] as const;

describe('a path', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'] }) });
    await send('GET', '/v2/');
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const send = (method: string, path: string) => sendRaw(server.url, method, path, basic('alice'));

  for (const [length, what] of [
    [LONGEST, 'that is too long'],
    [2000, 'of the greatest length'],
  ] as const) {
    it(`${what} is answered within ${MAX_MS} ms, with any content`, async () => {
      for (const unit of UNITS) {
        for (const [start, end] of ROUTES) {
          for (const method of ['GET', 'PUT', 'PROPFIND']) {
            const path = start + unit.repeat(Math.floor((length - start.length - end.length) / unit.length)) + end;
            const { status, tookMs } = await firstWithin(MAX_MS, () => send(method, path));
            const shown = `${method} ${start}${unit}…${end}: ${status} in ${Math.round(tookMs)} ms`;
            assert.ok(status < 500, shown);
            assert.ok(tookMs < MAX_MS, shown);
          }
        }
      }
    });
  }

  it('that is too long is refused in the error format of its protocol', async () => {
    const message = 'a path has at most 2048 characters and 256 slashes';
    const long = 'a'.repeat(2048);
    const v2 = await send('GET', `/v2/${long}/tags/list`);
    assert.equal(v2.status, 414);
    const detail = { characters: 2048 + '/v2//tags/list'.length };
    assert.deepEqual(JSON.parse(v2.body), { errors: [{ code: 'NAME_INVALID', message, detail }] });
    for (const path of [`/v1/repositories/${long}/tags`, `/v1/repositories/${'a/'.repeat(256)}tags`]) {
      const v1 = await send('GET', path);
      assert.equal(v1.status, 414);
      assert.deepEqual(JSON.parse(v1.body), { error: message });
    }
  });

  it('with the longest name is accepted', async () => {
    const digest = `sha512:${'0'.repeat(128)}`;
    const name = `${'a/'.repeat(63)}a`; // quoted, as a key has it: 253 characters
    for (const path of [`/v2/${name}/manifests/${digest}`, `/v2/${name}/blobs/${digest}`, `/v2/${name}/tags/list`]) {
      assert.match((await send('GET', path)).body, /UNKNOWN/, path);
    }
    const tag = '%2B'.repeat(247);
    const { status } = await send('GET', `/v1/repositories/${'%61'.repeat(240)}/tags/${tag}/json`);
    assert.equal(status, 200);
  });

  it('does not include the query, which carries the state of uploads', async () => {
    const { body } = await send('PATCH', `/v2/a/b/blobs/uploads/x?_state=${'x'.repeat(10_000)}`);
    assert.match(body, /BLOB_UPLOAD_UNKNOWN/);
  });
});
