import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { DEFAULT_UNPACK_LIMITS } from '../../lib/compression/unpack-limits.ts';
import { type KeyPrefix, layout } from '../../lib/model/layout.ts';
import { type ImageId, parseDigest } from '../../lib/model/names.ts';
import { BlobStore } from '../../lib/registry/blobs/store.ts';
import { ImageFiles } from '../../lib/registry/v1-images/files.ts';
import { Images } from '../../lib/registry/v1-images/images.ts';
import { ImageLayers } from '../../lib/registry/v1-images/layers.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { furtherSamples } from '../compression/samples.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { tar } from '../support/tar.ts';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { digestOf, V2Client } from '../v2/client.ts';

const zeros = furtherSamples.find(({ title }) => title.includes('100 MiB of zeros'))?.packed ?? Buffer.alloc(0);

/** A small layer that decompresses to much costs little storage, time and memory, in any format and however often it is named. */
export function unpackingSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`layers that decompress to much, on ${name}`, () => {
    let storage: OpenedStorage;
    let driver: StorageDriver;
    let server: RegistryServer;
    let client: V2Client;
    const reads = new Map<string, number>();

    before(async () => {
      storage = await open();
      driver = alterDriver(storage.driver, (original) => ({
        get: async (key, options) => {
          reads.set(key, (reads.get(key) ?? 0) + 1);
          return await original.get(key, options);
        },
      }));
      server = await startRegistry(driver, { v1Layers: 'link' });
      client = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const storedBytes = async () => {
      let sizeBytes = 0;
      for await (const info of storage.driver.list('oci/' as KeyPrefix)) sizeBytes += info.sizeBytes;
      return sizeBytes;
    };
    const pushV1 = async ({ id, json, layer }: V1Image, tagged: string) => {
      const put = async (path: string, body?: Uint8Array, headers = {}) => {
        const response = await client.send('PUT', path, { ...(body && { body: new Uint8Array(body) }), headers });
        assert.equal(response.status, 200, await response.text());
      };
      await put(`/v1/images/${id}/json`, json);
      await put(`/v1/images/${id}/layer`, layer);
      await put(`/v1/images/${id}/checksum`, undefined, { 'X-Docker-Checksum-Payload': payloadSum(json, layer) });
      await put(`/v1/repositories/${tagged}/tags/latest`, Buffer.from(JSON.stringify(id)));
    };

    it('a bzip2 layer beyond the limits is not stored decompressed, and v2 says why the image has no conversion', async () => {
      const image = newImage({ layer: zeros });
      const before = await storedBytes();
      reads.clear();
      await pushV1(image, 'bombs/bzip2');
      for (let round = 0; round < 2; round++) {
        const response = await client.send('GET', '/v2/bombs/bzip2/manifests/latest');
        assert.equal(response.status, 404);
        assert.match(
          await response.text(),
          /MANIFEST_UNKNOWN.*unpacks to more than .* bytes, or to more than 200 times/,
        );
      }
      assert.equal(reads.get(`images/${image.id}/layer`), 2, 'scanned once and decompressed once');
      assert.ok((await storedBytes()) - before < 2000, 'only links and the layer descriptor');
      await server.idle(); // the history of the tag is written behind the answer
      assert.deepEqual(await storage.leftovers(), []);

      const generous = await startRegistry(driver, { unpackLimits: { maxBytes: 200 * MiB, maxRatio: 1_000_000 } });
      const response = await new V2Client(generous.url).send('GET', '/v2/bombs/bzip2/manifests/latest');
      assert.equal(response.status, 200, 'raised limits apply at once');
      await generous.stop();
    });

    const pushZstd = async (repository: string, packed: Uint8Array, times: number) => {
      const described = async (bytes: Uint8Array, mediaType: string) => {
        const { digest } = await client.pushBlob(repository, bytes);
        return { mediaType, digest, size: bytes.length };
      };
      const layer = await described(packed, 'application/vnd.oci.image.layer.v1.tar+zstd');
      const config = await described(
        Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } })),
        'application/vnd.oci.image.config.v1+json',
      );
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const manifest = { schemaVersion: 2, mediaType, config, layers: Array(times).fill(layer) };
      const response = await client.pushManifest(repository, 'latest', manifest);
      assert.equal(response.status, 201, await response.text());
      await server.idle();
      return layer;
    };
    /** How often the bytes of a digest were read, over all copies of them. */
    const readsOf = (digest: string) => {
      const folder = layout.blobFolder(parseDigest(digest));
      return [...reads].reduce((sum, [key, count]) => (key.startsWith(folder) ? sum + count : sum), 0);
    };
    const tagsOfV1 = async (repository: string) => await client.send('GET', `/v1/repositories/${repository}/tags`);

    it('a zstd layer is decompressed once, however often manifests name it', async () => {
      const packed = zstdCompressSync(tar([{ path: 'file', content: randomBytes(1000) }]));
      reads.clear();
      const { digest } = await pushZstd('bombs/repeated', packed, 50);
      await pushZstd('bombs/repeated-elsewhere', packed, 3);
      assert.equal(readsOf(digest), 1);
      assert.equal((await tagsOfV1('bombs/repeated')).status, 200);
    });

    it('an image with a zstd layer beyond the limits has no projection, and the layer is read once', async () => {
      const packed = zstdCompressSync(Buffer.alloc(100 * MiB));
      const before = await storedBytes();
      reads.clear();
      const { digest } = await pushZstd('bombs/zstd', packed, 1);
      for (let round = 0; round < 2; round++) assert.deepEqual(await (await tagsOfV1('bombs/zstd')).json(), {});
      assert.equal(readsOf(digest), 1);
      assert.ok((await storedBytes()) - before < 2 * packed.length + 3000);
    });

    it('a manifest that names a large layer 20 times has no projection', async () => {
      await pushZstd('bombs/large', randomBytes(20 * MiB), 20);
      assert.deepEqual(await (await tagsOfV1('bombs/large')).json(), {});
    });

    it('the files of a layer are listed once for all requests at the same time', async () => {
      const image = newImage();
      await pushV1(image, 'bombs/files');
      reads.clear();
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => client.send('GET', `/v1/images/${image.id}/files`)),
      );
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      assert.equal(new Set(await Promise.all(answers.map((answer) => answer.text()))).size, 1);
      assert.equal(reads.get(`images/${image.id}/layer`), 1);
    });

    it('a file list that exceeds its limit is refused and not stored', async () => {
      const header = tar([{ path: 'x'.repeat(90), content: Buffer.alloc(0) }]).subarray(0, 512);
      const image = newImage({ layer: gzipSync(Buffer.alloc(512 * 2000, header)) });
      await pushV1(image, 'bombs/many-files');
      const images = new Images(
        driver,
        new ImageLayers(driver, DEFAULT_UNPACK_LIMITS, {
          store: new BlobStore(driver),
          findGranted: async () => undefined,
        }),
      );
      const options = { unpackLimits: DEFAULT_UNPACK_LIMITS, maxListBytes: 100_000 };
      await assert.rejects(new ImageFiles(driver, images, options).find(image.id as ImageId), {
        code: 'IMAGE_LAYER_INVALID',
        message: 'Layer has too many files to list',
      });
      assert.equal(await driver.head(layout.imageFiles(image.id as ImageId)), undefined);
      await server.idle(); // the history of the tag is written behind the answer
      assert.deepEqual(await storage.leftovers(), []);
      assert.equal((await client.send('GET', `/v1/images/${image.id}/files`)).status, 200);
    });

    it('JSON with too many values is refused before it is parsed', async (t) => {
      const parsed = t.mock.method(JSON, 'parse');
      const body = Buffer.from(`[${'[],'.repeat((0.99 * MiB) / 3)}[]]`);
      const id = digestOf(randomBytes(8)).slice('sha256:'.length);
      for (const [path, code] of [
        ['/v2/bombs/json/manifests/latest', 'MANIFEST_INVALID'],
        [`/v1/images/${id}/json`, 'Invalid JSON'],
      ] as const) {
        const response = await client.send('PUT', path, { body });
        assert.equal(response.status, 400, path);
        assert.match(await response.text(), new RegExp(code));
      }
      assert.deepEqual(
        parsed.mock.calls.filter(({ arguments: [text] }) => String(text).length > 1000),
        [],
      );
    });
  });
}
