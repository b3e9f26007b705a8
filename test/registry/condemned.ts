import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { parseDigest } from '../../lib/model/names.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { chunked, codesOf, digestOf, locationOf, withDigest } from '../v2/client.ts';
import { type InterceptedRegistry, linkOf, useInterceptedRegistry } from './intercepted-registry.ts';

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
  });
}
