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

/** The ways in which a repository gets a blob whose bytes are stored already. */
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

/**
 * The writers' side of garbage collection. A writer writes its link first and checks for a condemnation second, so the collector
 * can run at any time.
 */
export function condemnedSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, bytes that the collector has condemned`, () => {
    const registry = useInterceptedRegistry(open);

    const condemn = (digest: string) =>
      registry().storage.put(layout.condemnedBlob(parseDigest(digest)), new Uint8Array());
    /** Pushes random bytes to one repository. @returns them, with the key that the link names */
    const pushOwned = async () => {
      const bytes = randomBytes(1000);
      const { digest } = await registry().client.pushBlob('condemned/owner', bytes);
      return { bytes, digest, key: await registry().keyOfLink('condemned/owner', digest) };
    };

    for (const [title, reuse] of Object.entries(reuses)) {
      const repository = `condemned/${title.toLowerCase().replace(/[^a-z]+/g, '-')}`;

      it(`are not used by ${title}: the repository gets a copy of its own`, async () => {
        const { storage, readBlob } = registry();
        const { bytes, digest, key } = await pushOwned();
        await condemn(digest);
        assert.equal((await reuse(registry(), repository, bytes)).status, 201);
        assert.notEqual(await registry().keyOfLink(repository, digest), key);
        await storage.delete(key); // as the collector does next
        assert.ok((await readBlob(repository, digest)).equals(bytes));
      });

      it(`are not used by ${title} if they are condemned right before the link is written`, async () => {
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

      it(`leave no link to deleted bytes if they are condemned and deleted during ${title}`, async () => {
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

    it('are used again once they are no longer condemned', async () => {
      const { storage } = registry();
      const { bytes, digest, key } = await pushOwned();
      await condemn(digest);
      await storage.delete(layout.condemnedBlob(parseDigest(digest)));
      assert.equal((await registry().client.pushBlob('condemned/later', bytes)).response.status, 201);
      assert.equal(await registry().keyOfLink('condemned/later', digest), key);
    });

    describe('the condemned links of a repository', () => {
      const repository = parseRepositoryName('condemned/links');
      const condemnedList = layout.condemnedInRepository(repository);
      const list = (digests: string[]) => registry().storage.put(condemnedList, Buffer.from(JSON.stringify(digests)));
      const etagOf = async (digest: string) => {
        const info = await registry().storage.head(linkOf(repository, digest));
        assert.ok(info);
        return info.etag;
      };
      /** Pushes two blobs that no manifest names yet. @returns them, and a manifest that names them */
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

      it('are rewritten by a push of a manifest that names them, so that the collector keeps them', async () => {
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

      it('are rewritten if they are condemned right before the manifest is written', async () => {
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

      it('are rewritten after the manifest is written and before the tag is', async () => {
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
