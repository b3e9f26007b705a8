import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../lib/model/names.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { chunked, codesOf, digestOf, locationOf, withDigest } from '../v2/client.ts';
import { type InterceptedRegistry, linkOf, useInterceptedRegistry } from './intercepted-registry.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

type Reuse = (registry: InterceptedRegistry, repository: string, bytes: Uint8Array) => Promise<Response>;

/** How a repository comes to a blob whose bytes are there already. */
const reuses: Record<string, Reuse> = {
  'POST and PUT': async ({ client }, repository, bytes) => (await client.pushBlob(repository, bytes)).response,
  'POST, PATCH and PUT': async ({ client }, repository, bytes) => {
    const patched = await client.send('PATCH', await client.start(repository), { body: chunked(bytes) });
    return await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)));
  },
  'a mount': ({ client }, repository, bytes) =>
    client.send('POST', `/v2/${repository}/blobs/uploads/?mount=${digestOf(bytes)}&from=condemned/owner`),
  'a mount from anywhere': ({ client }, repository, bytes) =>
    client.send('POST', `/v2/${repository}/blobs/uploads/?mount=${digestOf(bytes)}`),
};

/** The writers' side of garbage collection: each writes before it looks, so that the collector can run at any time. */
export function condemnedSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, what the collector has condemned`, () => {
    const registry = useInterceptedRegistry(open);

    const condemn = (digest: string) =>
      registry().storage.put(layout.condemnedBlob(parseDigest(digest)), new Uint8Array());
    /** Bytes that one repository holds; where they lie. */
    const pushOwned = async () => {
      const bytes = randomBytes(1000);
      const { digest } = await registry().client.pushBlob('condemned/owner', bytes);
      return { bytes, digest, key: await registry().keyOfLink('condemned/owner', digest) };
    };

    for (const [title, reuse] of Object.entries(reuses)) {
      const repository = `condemned/${title.toLowerCase().replace(/[^a-z]+/g, '-')}`;

      it(`is not relied on by ${title}: the repository gets bytes of its own`, async () => {
        const { storage, readBlob } = registry();
        const { bytes, digest, key } = await pushOwned();
        await condemn(digest);
        assert.equal((await reuse(registry(), repository, bytes)).status, 201);
        assert.notEqual(await registry().keyOfLink(repository, digest), key);
        await storage.delete(key); // the collector does what it has announced
        assert.ok((await readBlob(repository, digest)).equals(bytes));
      });

      it(`is seen by ${title} even if it is condemned in the last moment before the link`, async () => {
        const { interceptor, storage, readBlob } = registry();
        const { bytes, digest, key } = await pushOwned();
        interceptor.before(
          'put',
          (put) => put === linkOf(repository, digest),
          () => condemn(digest),
        );
        assert.equal((await reuse(registry(), repository, bytes)).status, 201);
        await storage.delete(key);
        assert.ok((await readBlob(repository, digest)).equals(bytes));
      });

      it(`and collected while ${title} looks, leaves no link that leads nowhere`, async () => {
        const { client, interceptor, storage, readBlob } = registry();
        const { bytes, digest, key } = await pushOwned();
        interceptor.before(
          'put',
          (put) => put === linkOf(repository, digest),
          async () => {
            await condemn(digest);
            await storage.delete(key);
          },
        );
        const refused = await reuse(registry(), repository, bytes);
        if (title.includes('mount'))
          assert.equal(refused.status, 202); // an upload begins instead
        else assert.deepEqual([refused.status, await codesOf(refused)], [503, ['UNAVAILABLE']]);
        assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 404);
        assert.equal((await client.pushBlob(repository, bytes)).response.status, 201);
        assert.ok((await readBlob(repository, digest)).equals(bytes));
      });
    }

    it('and is not condemned any more is used as it lies', async () => {
      const { storage } = registry();
      const { bytes, digest, key } = await pushOwned();
      await condemn(digest);
      await storage.delete(layout.condemnedBlob(parseDigest(digest)));
      assert.equal((await registry().client.pushBlob('condemned/later', bytes)).response.status, 201);
      assert.equal(await registry().keyOfLink('condemned/later', digest), key);
    });

    describe('as a link of a repository', () => {
      const repository = parseRepositoryName('condemned/links');
      const condemnedList = layout.condemnedInRepository(repository);
      const list = (digests: string[]) => registry().storage.put(condemnedList, Buffer.from(JSON.stringify(digests)));
      const etagOf = async (digest: string) => {
        const info = await registry().storage.head(linkOf(repository, digest));
        assert.ok(info);
        return info.etag;
      };
      /** Blobs that no manifest names, and the manifest that is about to. */
      const pushUnnamed = async () => {
        const [config, layer] = await Promise.all(
          [randomBytes(10), randomBytes(10)].map(async (bytes) => {
            const { digest } = await registry().client.pushBlob(repository, bytes);
            return { mediaType: 'application/octet-stream', digest, size: bytes.length };
          }),
        );
        assert.ok(config && layer);
        const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
        return { layer: layer.digest, config: config.digest, manifest };
      };

      it('is written anew by a manifest that names it, so that the collector lets it be', async () => {
        const { storage, client, readBlob } = registry();
        const { layer, config, manifest } = await pushUnnamed();
        const [layerBefore, configBefore] = [await etagOf(layer), await etagOf(config)];
        await list([layer]);
        assert.equal((await client.pushManifest(repository, 'latest', manifest)).status, 201);
        assert.equal(await storage.delete(linkOf(repository, layer), { ifMatch: layerBefore }), false);
        assert.equal((await readBlob(repository, layer)).length, 10);
        assert.equal(await etagOf(config), configBefore); // that one was not listed
        await storage.delete(condemnedList);
      });

      it('is seen even if it is condemned in the last moment before the manifest', async () => {
        const { interceptor, client } = registry();
        const { layer, manifest } = await pushUnnamed();
        const before = await etagOf(layer);
        interceptor.before(
          'put',
          (key) => key.includes('/manifests/'),
          () => list([layer]),
        );
        assert.equal((await client.pushManifest(repository, 'latest', manifest)).status, 201);
        assert.notEqual(await etagOf(layer), before);
        await registry().storage.delete(condemnedList);
      });

      it('is written anew before a tag leads to the manifest, and after the manifest is there', async () => {
        const { interceptor, client, storage } = registry();
        const { layer, manifest } = await pushUnnamed();
        await list([layer]);
        const from = interceptor.written.length;
        assert.equal((await client.pushManifest(repository, 'latest', manifest)).status, 201);
        const digest = parseDigest(digestOf(JSON.stringify(manifest)));
        assert.deepEqual(interceptor.written.slice(from), [
          layout.manifest(repository, digest),
          linkOf(repository, layer),
          'repositories/condemned/links/tag_latest',
        ]);
        await storage.delete(condemnedList);
      });
    });
  });
}
