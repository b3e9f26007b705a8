// Manifests that clients make and that a strict parser would refuse.
import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key } from '../../lib/model/layout.ts';
import { encodeBlobLink } from '../../lib/registry/blobs/link.ts';
import type { ETag, StorageDriver } from '../../lib/storage/driver.ts';
import { loadKeys } from '../config/load-text.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { codesOf, digestOf, V2Client } from './client.ts';
import { pushImage } from './image.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

describe('a manifest', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const describeBlob = async (repository: string, content: string, mediaType = 'application/octet-stream') => {
    const { digest } = await client.pushBlob(repository, Buffer.from(content));
    return { mediaType, digest, size: content.length };
  };

  describe('with null for absent fields, as Go programs write them', () => {
    for (const [title, fields, contentType] of [
      ['layers', { layers: null }, OCI_MANIFEST],
      ['manifests of an image', { layers: [], manifests: null }, OCI_MANIFEST],
      ['a subject', { layers: [], subject: null }, OCI_MANIFEST],
      ['annotations', { layers: [], annotations: null }, OCI_MANIFEST],
      ['an annotation', { layers: [], annotations: { 'org.example.a': null } }, OCI_MANIFEST],
      ['an artifactType', { layers: [], artifactType: null }, OCI_MANIFEST],
      ['a mediaType', { layers: [], mediaType: null }, OCI_MANIFEST],
      ['an empty mediaType', { layers: [], mediaType: '' }, OCI_MANIFEST],
      ['manifests', { config: undefined, manifests: null }, OCI_INDEX],
      ['manifests with a mediaType', { config: undefined, mediaType: DOCKER_LIST, manifests: null }, DOCKER_LIST],
      ['config and layers of an index', { config: null, layers: null, manifests: [] }, OCI_INDEX],
    ] as const) {
      it(`is accepted with ${title}, and returned byte for byte`, async () => {
        const config = await describeBlob('null/app', '{}', 'application/vnd.oci.empty.v1+json');
        const body = Buffer.from(JSON.stringify({ schemaVersion: 2, config, ...fields }));
        const put = await client.send('PUT', '/v2/null/app/manifests/latest', { body });
        assert.equal(put.status, 201, await put.text());
        const got = await client.send('GET', '/v2/null/app/manifests/latest');
        assert.deepEqual([got.headers.get('Content-Type'), await got.text()], [contentType, body.toString()]);
      });
    }

    it('is listed among referrers without annotations that are null', async () => {
      const config = await describeBlob('null/app', '{}', 'application/vnd.oci.empty.v1+json');
      const subject = { mediaType: OCI_MANIFEST, digest: digestOf('subject'), size: 7 };
      const manifest = { schemaVersion: 2, config, layers: null, subject, annotations: { a: 'b', c: null } };
      assert.equal((await client.pushManifest('null/app', 'referrer', manifest)).status, 201);
      const list = await client.send('GET', `/v2/null/app/referrers/${subject.digest}`);
      const { manifests } = (await list.json()) as { manifests: { annotations: object }[] };
      assert.deepEqual(manifests[0]?.annotations, { a: 'b' });
    });

    it('is refused with null in a required field', async () => {
      for (const fields of [
        { config: null, layers: [] },
        { config: null, layers: null, manifests: undefined },
        { layers: [null] },
        { mediaType: 0, manifests: [] },
      ]) {
        const refused = await client.pushManifest('null/app', 'bad', { schemaVersion: 2, ...fields });
        assert.deepEqual([refused.status, await codesOf(refused)], [400, ['MANIFEST_INVALID']], JSON.stringify(fields));
      }
    });
  });

  describe("of BuildKit's cache, an index of blobs", () => {
    /** The index that `--export-cache type=registry,image-manifest=false` pushes, with one of its two media types. */
    const cacheIndex = async (repository: string, mediaType: string) => {
      const layers = [await describeBlob(repository, 'one', LAYER), await describeBlob(repository, 'two', LAYER)];
      const annotations = { 'buildkit/createdat': '2026-11-27T00:00:00Z', 'containerd.io/uncompressed': digestOf('x') };
      const config = await describeBlob(repository, '{"layers":[]}', 'application/vnd.buildkit.cacheconfig.v0');
      return {
        schemaVersion: 2,
        mediaType,
        manifests: [...layers.map((layer) => ({ ...layer, annotations })), config],
      };
    };

    for (const mediaType of [OCI_INDEX, DOCKER_LIST]) {
      it(`is accepted as ${mediaType}, pulled and deleted`, async () => {
        const index = await cacheIndex('cache/app', mediaType);
        const put = await client.pushManifest('cache/app', 'buildcache', index);
        assert.equal(put.status, 201, await put.text());
        const got = await client.send('GET', '/v2/cache/app/manifests/buildcache');
        assert.deepEqual([got.headers.get('Content-Type'), await got.json()], [mediaType, index]);
        await server.idle();
        const v1 = await client.send('GET', '/v1/repositories/cache/app/tags');
        assert.deepEqual(await v1.json(), {}, 'v1 has nothing to show for it');
        const digest = got.headers.get('Docker-Content-Digest');
        assert.equal((await client.send('DELETE', `/v2/cache/app/manifests/${digest}`)).status, 202);
      });
    }

    it('is refused if a blob is missing, in another repository, or of another size', async () => {
      const index = await cacheIndex('cache/app', OCI_INDEX);
      const refusal = async (repository: string, manifests: object[]) => {
        const response = await client.pushManifest(repository, 'buildcache', { ...index, manifests });
        return [response.status, ...(await codesOf(response))];
      };
      const [first = assert.fail()] = index.manifests;
      assert.deepEqual(await refusal('cache/other', [first]), [400, 'MANIFEST_BLOB_UNKNOWN']);
      assert.deepEqual(await refusal('cache/app', [{ ...first, digest: digestOf('?') }]), [
        400,
        'MANIFEST_BLOB_UNKNOWN',
      ]);
      assert.deepEqual(await refusal('cache/app', [{ ...first, size: 4 }]), [400, 'MANIFEST_INVALID']);
      // A blob does not count as a manifest, whichever media type the index gives it.
      assert.deepEqual(await refusal('cache/app', [{ ...first, mediaType: OCI_MANIFEST }]), [
        400,
        'MANIFEST_BLOB_UNKNOWN',
      ]);
    });
  });

  describe('that is an index with missing children', () => {
    let sparse: RegistryServer;
    let sparseClient: V2Client;
    before(async () => {
      sparse = await startRegistry(storage.driver, { indexChildren: 'optional' });
      sparseClient = new V2Client(sparse.url);
    });
    after(() => sparse.stop());

    /** An index of an image for amd64 and one for arm64; only the given ones are pushed. */
    const pushIndex = async (repository: string, pushed: string[], by = sparseClient) => {
      const children = [];
      for (const architecture of ['amd64', 'arm64']) {
        const options = { contents: [architecture], config: { architecture } };
        const elsewhere = await pushImage(client, 'sparse/complete', undefined, options);
        if (pushed.includes(architecture)) await pushImage(client, repository, undefined, options);
        const { digest, sizeBytes: size } = elsewhere;
        children.push({ mediaType: OCI_MANIFEST, digest, size, platform: { os: 'linux', architecture } });
      }
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: children };
      return { index, response: await by.pushManifest(repository, 'multi', index) };
    };

    it('is refused by default', async () => {
      const { response } = await pushIndex('sparse/refused', ['amd64'], client);
      assert.deepEqual([response.status, await codesOf(response)], [400, ['MANIFEST_BLOB_UNKNOWN']]);
    });

    it('is accepted with index_children: optional; the missing child is unknown until it is pushed', async () => {
      const { response, index } = await pushIndex('sparse/app', ['arm64']);
      assert.equal(response.status, 201);
      const [amd64, arm64] = index.manifests.map(({ digest }) => `/v2/sparse/app/manifests/${digest}`);
      assert.equal((await sparseClient.send('GET', arm64 ?? '')).status, 200);
      const missing = await sparseClient.send('GET', amd64 ?? '');
      assert.deepEqual([missing.status, await codesOf(missing)], [404, ['MANIFEST_UNKNOWN']]);

      // v1 shows the amd64 child of an index, and no other child instead.
      await sparse.idle();
      // A process remembers for some minutes that v1 cannot show a tag, so the test asks another process.
      const tags = async (of: V2Client) => await (await of.send('GET', '/v1/repositories/sparse/app/tags')).json();
      assert.deepEqual(await tags(client), {});
      await pushImage(sparseClient, 'sparse/app', undefined, {
        contents: ['amd64'],
        config: { architecture: 'amd64' },
      });
      assert.deepEqual(await tags(sparseClient), { multi: digestOf(JSON.stringify(index)).slice('sha256:'.length) });
    });

    it('is deleted like any other index', async () => {
      const { index } = await pushIndex('sparse/deleted', []);
      const path = `/v2/sparse/deleted/manifests/${digestOf(JSON.stringify(index))}`;
      assert.equal((await sparseClient.send('DELETE', path)).status, 202);
      assert.equal((await sparseClient.send('GET', path)).status, 404);
      await pushIndex('sparse/deleted', ['arm64']);
      assert.equal((await sparseClient.send('DELETE', '/v1/repositories/sparse/deleted/')).status, 200);
      assert.equal((await sparseClient.send('GET', path)).status, 404);
    });

    it('is refused with index_children: optional if a child has another size or a blob is missing', async () => {
      const { index } = await pushIndex('sparse/app', ['arm64']);
      const sizes = index.manifests.map((child) => ({ ...child, size: 1 }));
      const wrong = await sparseClient.pushManifest('sparse/app', 'bad', { ...index, manifests: sizes });
      assert.deepEqual([wrong.status, await codesOf(wrong)], [400, ['MANIFEST_INVALID']]);
      const blob = { mediaType: LAYER, digest: digestOf('nowhere'), size: 7 };
      const missing = await sparseClient.pushManifest('sparse/app', 'bad', { ...index, manifests: [blob] });
      assert.deepEqual([missing.status, await codesOf(missing)], [400, ['MANIFEST_BLOB_UNKNOWN']]);
    });

    it('follows the key index_children', () => {
      assert.equal(loadKeys({}).config.indexChildren, 'required');
      assert.equal(loadKeys({ index_children: 'optional' }).config.indexChildren, 'optional');
    });
  });

  describe('of 10,000 layers', () => {
    const COUNT = 10_000;
    const LOOK_UP_MS = 5;
    let atOnce = 0;
    let mostAtOnce = 0;

    /** Storage that holds every link of this repository, with the latency of S3. */
    const withLinks = (driver: StorageDriver) =>
      alterDriver(driver, (original) => ({
        async read(key: Key) {
          if (!key.startsWith('oci/repositories/large/app/blobs/')) return await original.read(key);
          mostAtOnce = Math.max(mostAtOnce, ++atOnce);
          await sleep(LOOK_UP_MS);
          atOnce--;
          const bytes = new Uint8Array(encodeBlobLink({ sizeBytes: 1, key: 'oci/blobs/sha256/x' as Key }));
          return { info: { key, sizeBytes: bytes.length, etag: 'x' as ETag, lastModified: new Date() }, bytes };
        },
      }));
    const large = (layers: number, name: string) => ({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(name), size: 1 },
      layers: Array.from({ length: layers }, (_, index) => ({
        mediaType: LAYER,
        digest: digestOf(`${name} ${index}`),
        size: 1,
      })),
    });

    it('is accepted, and delays neither the event loop nor the checks of other callers', {
      timeout: 60_000,
    }, async () => {
      const busy = await startRegistry(withLinks(storage.driver), { trustedProxies: 1, runsBackgroundWork: false });
      const from = (address: string) => new V2Client(busy.url, { 'X-Forwarded-For': address });
      const pushing = [1, 2, 3, 4, 5].map((number) =>
        from('10.0.0.1').pushManifest('large/app', `big${number}`, large(COUNT, `big${number}`)),
      );
      while (atOnce === 0) await sleep(1);
      const delay = monitorEventLoopDelay({ resolution: 5 });
      await sleep(200); // all five have been read
      delay.enable();
      const waits: number[] = [];
      for (let other = 0; other < 10; other++) {
        const started = performance.now();
        const response = await from('10.0.0.2').pushManifest('large/app', `other${other}`, large(5, `other${other}`));
        waits.push(performance.now() - started);
        assert.equal(response.status, 201);
      }
      delay.disable();
      for (const response of await Promise.all(pushing)) assert.equal(response.status, 201, await response.text());
      await busy.stop();
      assert.ok(mostAtOnce <= 64, `${mostAtOnce} look-ups at once`);
      const median = waits.sort((a, b) => a - b)[5] ?? 0;
      // Some turns of 5 ms each; after the whole queue of the first caller it would be more than 10 s.
      assert.ok(median < 500, `others waited for ${median} ms`);
      assert.ok(delay.percentile(50) < 100e6, `the loop stood still for ${delay.percentile(50) / 1e6} ms`);
    });

    it('is refused with one layer more', async () => {
      const response = await client.pushManifest('large/app', 'more', large(COUNT + 1, 'more'));
      assert.deepEqual([response.status, await codesOf(response)], [400, ['MANIFEST_INVALID']]);
    });
  });
});
