import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import { layout } from '../../lib/model/layout.ts';
import { type Digest, parseDigest, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { encodeFacts } from '../../lib/registry/manifests/facts.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { type FaultyProxy, startFaultyProxy } from '../storage/faulty-proxy.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser } from './browser.ts';
import { readFixture } from './data/signatures/fixture.ts';

describe('S3 requests of the web pages', () => {
  const TAGS = 3000;
  const ROWS = 50;
  const REFERRERS = 1000;
  let minio: Minio;
  let proxy: FaultyProxy;
  let behind: S3Driver;
  let driver: S3Driver;
  let server: RegistryServer;
  let browser: Browser;
  before(async () => {
    minio = await startMinio();
    proxy = await startFaultyProxy(minio.endpoint);
    behind = new S3Driver(minio.driverOptions);
    driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
    server = await startRegistry(driver);
    browser = new Browser(server.url);
    await fillStorage();
    await driver.findLimitations(); // a server does this at its start, so it is not counted
    await server.idle();
  });
  after(async () => {
    await server.stop();
    await Promise.all([driver.close(), behind.close()]);
    await proxy.close();
    await minio.stop();
  });

  /** A repository of 3,000 tags, each of a manifest of its own with facts and an entry in the history. */
  async function fillStorage(): Promise<void> {
    const { manifest } = await pushImage(new V2Client(server.url), 'large/app', 'latest', { contents: ['large'] });
    const repository = parseRepositoryName('large/app');
    const { name, body } = encodeFacts({ kind: 'image', totalBytes: 1000, platforms: ['linux/amd64'] });
    await mapConcurrently(
      Array.from({ length: TAGS - 1 }, (_, n) => n),
      async (n) => {
        const text = JSON.stringify({ ...manifest, annotations: { n: String(n) } });
        const hex = createHash('sha256').update(text).digest('hex');
        const digest = parseDigest(`sha256:${hex}`);
        const tag = parseTag(`1.${n}`);
        await behind.put(layout.manifest(repository, digest), encodeText(text));
        await behind.put(layout.facts(repository, digest, name), body);
        await behind.put(
          layout.historyEntry(repository, { tag, atMs: Date.now(), target: `sha256-${hex}` }),
          encodeText('{"by":"somebot"}'),
        );
        await behind.put(layout.tag(repository, tag), encodeText(hex));
      },
      64,
    );
  }

  /** A thousand bundles that refer to a manifest, all with the same bytes. */
  async function storeReferrers(subject: Digest): Promise<void> {
    const repository = parseRepositoryName('large/app');
    const mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
    const bytes = readFixture('signature.bundle');
    const { digest: blob } = await new V2Client(server.url).pushBlob('large/app', bytes);
    const { name, body } = encodeFacts({ kind: 'signature', totalBytes: 1000, platforms: [], artifactType: mediaType });
    const numbers = Array.from({ length: REFERRERS }, (_, n) => n);
    const storeOne = async (n: number) => {
      const text = JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        artifactType: mediaType,
        config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: blob, size: bytes.length },
        layers: [{ mediaType, digest: blob, size: bytes.length }],
        annotations: { n: String(n) },
      });
      const digest = parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`);
      await behind.put(layout.manifest(repository, digest), encodeText(text));
      await behind.put(layout.facts(repository, digest, name), body);
      await behind.put(layout.referrer(repository, subject, digest), encodeText('{}'));
    };
    await mapConcurrently(numbers, storeOne, 64);
  }

  const requestsOf = async (path: string): Promise<string[]> => {
    await server.idle();
    proxy.requests.length = 0;
    const { status, text } = await browser.open(path);
    assert.equal(status, 200);
    assert.match(text, /<h1>/);
    await server.idle();
    return proxy.requests.map(({ method, url }) => `${method} ${url}`);
  };
  const assertAtMost = async (most: number, path: string) => {
    const seen = await requestsOf(path);
    assert.ok(
      seen.length <= most,
      `${path}: ${seen.length} requests, more than ${most}:\n${seen.slice(0, 40).join('\n')}`,
    );
  };

  it('for a page of tags are two listings, and four for each row', async () => {
    // One more for the summary, and up to three to learn what ETags are.
    await assertAtMost(2 * Math.ceil(TAGS / 1000) + 4 * ROWS + 4, '/ui/r/large/app');
    // The listings are kept for ten seconds, so the next page needs none.
    await assertAtMost(4 * ROWS + 1, '/ui/r/large/app?from=50');
    await assertAtMost(4 * ROWS + 1, '/ui/r/large/app?sort=size&from=2950');
  });

  it('for a page of repositories are those of the catalog, one for each row, and one for the overview', async () => {
    await assertAtMost(2 + 1 + 1, '/ui/');
    await assertAtMost(2, '/ui/?sort=size');
  });

  it('for the page of an image do not grow with the repository', async () => {
    await assertAtMost(6, '/ui/r/large/app:1.7');
    await assertAtMost(7, '/ui/r/large/app:1.7?view=history');
  });

  it('for what refers to an image are four for each of the 25 on the page, of a thousand', async () => {
    const page = '/ui/r/large/app:1.7?view=referrers';
    // Those of the image, the list, and two tags that are not there.
    await assertAtMost(6 + 1 + 2, page);
    const digest = /sha256:[a-f0-9]{64}/.exec((await browser.open(page)).text)?.[0] ?? assert.fail('no digest');
    await storeReferrers(parseDigest(digest));
    await assertAtMost(6 + 1 + 2 + 4 * 25, page);
    const next = /rel="next" href="([^"]+)"/.exec((await browser.open(page)).text)?.[1] ?? assert.fail('one page');
    await assertAtMost(6 + 1 + 4 * 25, next.replaceAll('&amp;', '&'));
  });
});
