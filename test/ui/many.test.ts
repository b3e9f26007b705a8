// Pages of a large registry: 5,000 repositories, 20,000 tags of one, 1,000 referrers of one manifest.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { layout } from '../../lib/model/layout.ts';
import { type Digest, parseDigest, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { encodeFacts, type ManifestFacts } from '../../lib/registry/manifests/facts.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser } from './browser.ts';

const [REPOSITORIES, NAMESPACES, TAGS, REFERRERS, ROWS] = [5000, 40, 20_000, 1000, 50];
const PAGE_BYTES = 12_000;

const large = parseRepositoryName('large/app');
const digestOf = (text: string) => parseDigest(`sha256:${createHash('sha256').update(text).digest('hex')}`);
const hexOf = (digest: Digest) => digest.slice('sha256:'.length);

describe('the pages of a large registry', () => {
  const storage = new MemoryStorage();
  let server: RegistryServer;
  let browser: Browser;
  let subject: Digest;
  before(async () => {
    server = await startRegistry(storage);
    browser = new Browser(server.url);
    await fillStorage();
  });
  after(() => server.stop());

  async function fillStorage(): Promise<void> {
    const { digest } = await pushImage(new V2Client(server.url), large, 'latest', { contents: ['large'] });
    await server.idle();
    subject = parseDigest(digest);
    const putFacts = async (of: Digest, facts: ManifestFacts) => {
      const { name, body } = encodeFacts(facts);
      await storage.put(layout.facts(large, of, name), body);
    };
    for (let n = 0; n < REPOSITORIES; n++) {
      const name = parseRepositoryName(`team-${n % NAMESPACES}/app-${n}`);
      await storage.put(layout.tag(name, parseTag('1')), encodeText(hexOf(subject)));
    }
    for (let n = 1; n < TAGS; n++) {
      const own = digestOf(`manifest ${n}`);
      await putFacts(own, { kind: 'image', totalBytes: n, platforms: ['linux/amd64'] });
      await storage.put(layout.tag(large, parseTag(`${n % 7}.${n % 101}.${n}`)), encodeText(hexOf(own)));
    }
    for (let n = 0; n < REFERRERS; n++) {
      const [artifactType, mediaType] = ['application/spdx+json', 'application/vnd.oci.image.manifest.v1+json'];
      const manifest = JSON.stringify({
        ...{ schemaVersion: 2, mediaType, artifactType, layers: [] },
        config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
        subject: { mediaType, digest: subject, size: 500 },
        annotations: { n: String(n) },
      });
      const own = digestOf(manifest);
      await storage.put(layout.manifest(large, own), encodeText(manifest), { contentType: mediaType });
      const descriptor = { mediaType, digest: own, size: manifest.length, artifactType };
      await storage.put(layout.referrer(large, subject, own), encodeText(JSON.stringify(descriptor)));
      await putFacts(own, { kind: 'sbom', totalBytes: n, platforms: [], artifactType });
    }
  }

  /** Opens a page, which takes at most so many requests to storage. */
  const open = async (path: string, mostRequests: number): Promise<string> => {
    await server.idle();
    storage.log.length = 0;
    const { status, text } = await browser.open(path);
    assert.equal(status, 200, path);
    const requests = storage.log.length;
    assert.ok(requests <= mostRequests, `${path}: ${requests} requests, more than ${mostRequests}`);
    const bytes = gzipSync(text).length;
    assert.ok(bytes <= PAGE_BYTES, `${path}: ${bytes} bytes`);
    return text;
  };

  // The listings of tags and facts, one request for the summary, and up to three to learn what ETags are.
  const listings = Math.ceil(TAGS / 1000) + Math.ceil((TAGS + REFERRERS) / 1000) + 4;
  for (const [query, range] of [
    ['', '1–50'],
    [`?from=${TAGS - ROWS}`, '19,951–20,000'],
    ['?sort=pushed', '1–50'],
    ['?sort=size&from=10000', '10,001–10,050'],
  ] as const) {
    it(`show tags by two listings, and four requests for each row: ${query || 'first page'}`, async () => {
      assert.ok((await open(`/ui/r/${large}${query}`, listings + 4 * ROWS)).includes(`${range} of 20,000`));
    });
  }

  it('show the tags of a filter, and manifests without a tag, within the same requests', async () => {
    const filtered = await open(`/ui/r/${large}?filter=*.19999`, listings + 4 * ROWS);
    assert.match(filtered, /1–1 of 1</);
    const manifests = Math.ceil((REFERRERS + 1) / 1000);
    const untagged = await open(`/ui/r/${large}?tab=untagged`, listings + manifests + ROWS);
    assert.match(untagged, /1–50 of 1,000/);
  });

  it('list repositories by one request for each row, and for each of the namespaces that are read', async () => {
    const rows = [...(await open('/ui/', 1 + 2 * 16 + ROWS + 1)).matchAll(/\/ui\/r\/team-/g)];
    assert.ok(rows.length >= ROWS - 1, `${rows.length} rows`);
    const namespaces = await open('/ui/?view=namespaces', 1 + NAMESPACES + 1);
    assert.match(namespaces, /team-39\/<\/a><\/th><td class="num">125</);
    await open('/ui/?namespace=team-7', 1 + 2 + ROWS + 1);
    await open('/ui/?q=app-49', 1 + NAMESPACES + 1 + ROWS + 1);
  });

  it('look for a digest in 100 repositories', async () => {
    assert.match(await open(`/ui/digest?digest=${subject}`, 1 + NAMESPACES + 2 * 100), /large\/app@sha256/);
  });

  it('show the referrers of a manifest a page after the other', async () => {
    let path: string | undefined = `/ui/r/${large}:latest?view=referrers`;
    const seen = new Set<string>();
    for (let page = 0; page < 3; page++) {
      const text: string = await open(path ?? assert.fail('there is no next page'), 6 + 1 + 25 + 4);
      for (const [, digest = ''] of text.matchAll(/<th scope="row" class="wide"><a href="[^"]+@([^"]+)"/g))
        seen.add(digest);
      path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
    }
    assert.equal(seen.size, 75);
  });

  it('show an image by requests whose number does not depend on the repository', async () => {
    await open(`/ui/r/${large}:latest`, 6);
    await open(`/ui/r/${large}:latest?view=v1`, 7);
    await open(`/ui/r/${large}:latest?view=history`, 7);
  });
});
