import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import { immutabilityOf } from '../../lib/config/immutable-tags.ts';
import { layout } from '../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { type FaultyProxy, startFaultyProxy } from '../storage/faulty-proxy.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

/** Requests that reach S3 in a repository of 3,000 tags, background work included. */
describe('S3 requests in a repository of 3,000 tags', () => {
  const TAGS = 3000;
  /** 2⌈T/1,000⌉ + 4M + 6 for M tags, with an entry in the history of each. */
  const manifestBudget = (tagged: number) => 2 * Math.ceil(TAGS / 1000) + 4 * tagged + 6;
  /** MinIO ignores If-Match on DELETE. */
  const TAG_BUDGET = 9;
  let minio: Minio;
  let proxy: FaultyProxy;
  let behind: S3Driver;
  let driver: S3Driver;
  let server: RegistryServer;
  let client: V2Client;

  before(async () => {
    minio = await startMinio();
    proxy = await startFaultyProxy(minio.endpoint);
    behind = new S3Driver(minio.driverOptions);
    driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
    server = await startRegistry(driver, {
      v1Layers: 'link',
      isImmutable: immutabilityOf([{ repositories: 'large/fixed', tags: 'v*' }]),
    });
    client = new V2Client(server.url);
    await driver.findLimitations(); // a server does this at its start, so it is not counted
  });
  after(async () => {
    await server.stop();
    await Promise.all([driver.close(), behind.close()]);
    await proxy.close();
    await minio.stop();
  });

  const requestsOf = async (operation: () => Promise<unknown>): Promise<string[]> => {
    await server.idle();
    proxy.requests.length = 0;
    await operation();
    await server.idle();
    return proxy.requests.map(({ method, url }) => `${method} ${url}`);
  };
  const assertAtMost = async (most: number, operation: () => Promise<unknown>) => {
    const seen = await requestsOf(operation);
    assert.ok(seen.length <= most, `${seen.length} requests, more than ${most}:\n${seen.slice(0, 40).join('\n')}`);
  };
  const statusOf = async (method: string, path: string) => (await client.send(method, path)).status;
  const hexOf = (text: string) => createHash('sha256').update(text).digest('hex');

  /** Pushes one image and writes 2,999 tags `t<n>`, each of a manifest of its own, all of them in `_index_images`. */
  const plant = async (name: string, { isIndexed = true } = {}) => {
    const { digest, manifest } = await pushImage(client, name, 'pushed', { contents: [name] });
    await server.idle();
    const repository = parseRepositoryName(name);
    const manifests = Array.from({ length: TAGS - 1 }, (_, n) =>
      JSON.stringify({ ...manifest, annotations: { n: String(n) } }),
    );
    await mapConcurrently(
      [...manifests.entries()],
      async ([n, text]) => {
        await behind.put(layout.manifest(repository, parseDigest(`sha256:${hexOf(text)}`)), encodeText(text));
        await behind.put(layout.tag(repository, parseTag(`t${n}`)), encodeText(hexOf(text)));
      },
      64,
    );
    const ids = [digest.slice('sha256:'.length), ...manifests.map(hexOf)];
    if (isIndexed)
      await behind.put(layout.indexImages(repository), encodeText(JSON.stringify(ids.map((id) => ({ id })))));
    return { digest, manifest, ids };
  };
  const indexedIn = async (name: string): Promise<string[]> => {
    const images = await client.send('GET', `/v1/repositories/${name}/images`);
    return ((await images.json()) as { id: string }[]).map(({ id }) => id);
  };

  it('deleting a tag, deleting a manifest and listing tags for v1 stay within their budgets', async () => {
    const { digest, ids } = await plant('large/images');
    await assertAtMost(2 * Math.ceil(TAGS / 1000) + 3, async () => {
      const tags = (await (await client.send('GET', '/v1/repositories/large/images/tags')).json()) as object;
      assert.equal(Object.keys(tags).length, TAGS);
    });
    await assertAtMost(manifestBudget(1), async () => {
      assert.equal(await statusOf('DELETE', `/v2/large/images/manifests/sha256:${ids[1]}`), 202);
    });
    assert.equal(await statusOf('HEAD', '/v2/large/images/manifests/t0'), 404);
    await assertAtMost(TAG_BUDGET, async () => {
      assert.equal(await statusOf('DELETE', '/v2/large/images/manifests/pushed'), 202);
    });
    const indexed = await indexedIn('large/images');
    assert.equal(indexed.length, TAGS - 2);
    assert.ok(!indexed.includes(digest.slice('sha256:'.length)) && !indexed.includes(ids[1] ?? ''));
    assert.equal(await statusOf('HEAD', `/v2/large/images/manifests/${digest}`), 200, 'the manifest stays');
  });

  it('deleting a manifest costs four requests for each tag that names it', async () => {
    const { digest, manifest } = await plant('large/shared');
    for (let n = 0; n < 5; n++) await client.pushManifest('large/shared', `again-${n}`, manifest);
    await assertAtMost(manifestBudget(6), async () => {
      assert.equal(await statusOf('DELETE', `/v2/large/shared/manifests/${digest}`), 202);
    });
    for (const tag of ['pushed', 'again-0'])
      assert.equal(await statusOf('HEAD', `/v2/large/shared/manifests/${tag}`), 404);
  });

  it('deleting 30 tags in a row updates the index images a few times, not 30', async () => {
    await plant('large/row');
    const started = performance.now();
    const seen = await requestsOf(async () => {
      for (let n = 0; n < 30; n++) assert.equal(await statusOf('DELETE', `/v2/large/row/manifests/t${n}`), 202);
    });
    // One update at once, then one each quarter of a second, of three listings each.
    const passes = 2 + (performance.now() - started) / 250;
    const isOfImage = (request: string) => request.includes('oci%2Fimages%2F');
    const lists = seen.filter((request) => request.includes('list-type=2') && !isOfImage(request)).length;
    assert.ok(lists <= 3 * Math.min(passes, 15), `${lists} listings`);
    // For each tag GET, DELETE, the history, and once whether its image is a projection.
    assert.ok(seen.length <= 30 * 4 + 6 * Math.min(passes, 15), `${seen.length} requests`);
    assert.equal(
      (await indexedIn('large/row')).length,
      TAGS,
      'the written ids have no projection record, so they stay',
    );
  });

  it('a push to a repository with 3,000 immutable tags does not read each of them', async () => {
    const { digest, manifest, ids } = await plant('large/fixed', { isIndexed: false });
    const repository = parseRepositoryName('large/fixed');
    await mapConcurrently(
      Array.from({ length: TAGS }, (_, n) => n),
      (n) => behind.put(layout.tag(repository, parseTag(`v${n}`)), encodeText(ids[n] ?? '')),
      64,
    );
    // With a projection record for this digest, the registry searches the tags that name it.
    await behind.put(
      layout.projectionRecord(digest.slice('sha256:'.length) as never),
      encodeText(JSON.stringify({ manifest: digest })),
    );
    await behind.delete(layout.manifest(repository, parseDigest(digest)));
    const seen = await requestsOf(async () => {
      assert.equal((await client.pushManifest('large/fixed', 'next', manifest)).status, 403, 'v0 names it');
    });
    assert.ok(seen.length < 30, `${seen.length} requests`);
  });
});
