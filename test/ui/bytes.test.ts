// What a browser loads for a page: bytes as they are sent, and from where.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import { layout } from '../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser, tokenOf } from './browser.ts';

const FIRST_VISIT_BYTES = 30_000;
const PAGE_BYTES = 12_000;

const BY_BROWSER = { 'Accept-Encoding': 'gzip, deflate, br, zstd', 'Sec-Fetch-Site': 'none' };
const BY_OTHER_SITE = { ...BY_BROWSER, 'Sec-Fetch-Site': 'cross-site' };

type Loaded = { headers: IncomingHttpHeaders; sentBytes: number; text: string };

describe('the bytes of pages', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let alice: Browser;
  before(async () => {
    storage = await openFiles();
    const auth = await openTestAuth({
      users: ['alice'],
      access: [{ repositories: ['*'], users: ['alice', 'anonymous'], actions: ['pull', 'push', 'delete'] }],
    });
    server = await startRegistry(storage.driver, { auth, v1Projection: 'lazy' }); // 90 images of 127 layers
    alice = new Browser(server.url);
    await alice.login('alice');
    await fillStorage();
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  /** Names and sizes that differ, since equal ones are compressed better. */
  async function fillStorage(): Promise<void> {
    const client = new V2Client(server.url, basic('alice'));
    const contents = Array.from({ length: 127 }, (_, n) => `RUN install ${n} ${randomBytes(12).toString('hex')}`);
    const { digest, manifest } = await pushImage(client, 'team/app', 'latest', { contents });
    for (let n = 0; n < 60; n++) {
      const own = { ...manifest, annotations: { n: String(n) } };
      const tag = `1.${n}.0-build.${randomBytes(6).toString('hex')}`;
      assert.equal((await client.pushManifest('team/app', tag, own)).status, 201);
      if (n % 2 === 0) await client.pushManifest('team/app', `nightly-${n}`, own);
    }
    const names = Array.from({ length: 60 }, () =>
      parseRepositoryName(`team-${randomBytes(3).toString('hex')}/service-${randomBytes(6).toString('hex')}`),
    );
    await mapConcurrently(names, (name) =>
      storage.driver.put(layout.tag(name, parseTag('1')), encodeText(digest.slice('sha256:'.length))),
    );
    await client.send('POST', '/v2/_stowage/usage');
    await server.idle();
  }

  const load = async (path: string, headers: Record<string, string> = BY_BROWSER): Promise<Loaded> => {
    const [response] = (await once(get(new URL(path, server.url), { headers }), 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200, path);
    const body = Buffer.concat(await response.toArray());
    const text = (response.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
    return { headers: response.headers, sentBytes: body.length, text };
  };
  const asAlice = (headers: Record<string, string>) => ({
    ...headers,
    Cookie: [...alice.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
  });
  const assets = (text: string) =>
    [...text.matchAll(/<(?:link rel="stylesheet" href|script src)="([^"]+)"/g)].map(([, path = '']) => path);

  it('of a first visit are at most 30 kB, with style sheet and script', async () => {
    const first = await load('/ui/');
    const paths = assets(first.text);
    assert.equal(paths.length, 2);
    const loaded = await Promise.all(paths.map((path) => load(path)));
    const bytes = [first, ...loaded].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
    assert.ok(bytes <= FIRST_VISIT_BYTES, `${bytes} bytes`);
    for (const { headers } of loaded) assert.match(headers['cache-control'] ?? '', /immutable/);
  });

  for (const path of [
    '/ui/',
    '/ui/?sort=size',
    '/ui/?q=team',
    '/ui/r/team/app',
    '/ui/r/team/app?sort=pushed',
    '/ui/r/team/app?tab=untagged',
    '/ui/r/team/app?tab=access',
    '/ui/r/team/app:latest',
    '/ui/r/team/app:latest?view=referrers',
    '/ui/r/team/app:latest?view=history',
    '/ui/usage',
  ]) {
    it(`of ${path} are at most 12 kB, and all that it loads comes from the registry`, async () => {
      const { headers, sentBytes, text } = await load(path, asAlice(BY_BROWSER));
      assert.equal(headers['content-encoding'], 'gzip');
      assert.match(headers.vary ?? '', /Accept-Encoding/);
      assert.ok(sentBytes <= PAGE_BYTES, `${sentBytes} bytes`);
      const loaded = [...text.matchAll(/<(?!a )[^>]* (?:src|href|action|formaction)="([^"]*)"/g)];
      assert.ok(loaded.length >= 3);
      for (const [, target = ''] of loaded) assert.match(target, /^(?:\/ui\/|data:,$|#)/);
    });
  }

  it('are those of the page itself for a client that takes no gzip', async () => {
    for (const accepted of ['', 'br', 'gzip;q=0', 'identity']) {
      for (const path of ['/ui/', ...assets((await load('/ui/')).text)]) {
        const { headers } = await load(path, { 'Accept-Encoding': accepted });
        assert.equal(headers['content-encoding'], undefined, `${path} for ${accepted}`);
      }
    }
  });

  it('tell a site that makes a browser open a page nothing about the pages of a login', async () => {
    assert.equal((await load('/ui/', asAlice(BY_OTHER_SITE))).headers['content-encoding'], undefined);
    const { 'Sec-Fetch-Site': _, ...byOldBrowser } = BY_BROWSER;
    assert.equal((await load('/ui/', asAlice(byOldBrowser))).headers['content-encoding'], undefined);
    assert.equal((await load('/ui/', BY_OTHER_SITE)).headers['content-encoding'], 'gzip', 'there is no secret');
  });

  it('never repeat the token of a form', async () => {
    const tokens = new Set<string>();
    for (let n = 0; n < 5; n++) {
      const token = tokenOf((await load('/ui/', asAlice(BY_BROWSER))).text);
      for (const part of token.split('.')) tokens.add(part);
      const { status } = await alice.post('/ui/delete', [
        ['token', token],
        ['repository', 'team/app'],
      ]);
      assert.equal(status, 200);
    }
    assert.equal(tokens.size, 10);
  });
});
