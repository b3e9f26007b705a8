import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Key, layout, parseBlobRecord } from '../../lib/model/layout.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { chunked, digestOf, locationOf, withDigest } from '../v2/client.ts';
import { type InterceptedRegistry, useInterceptedRegistry } from './intercepted-registry.ts';

/** Whether a key is that of blob bytes, as opposed to pointers, links and manifests. */
const isBlobData = (key: Key) => layout.isData(key) || parseBlobRecord(key)?.kind === 'copy';

type Way = (registry: InterceptedRegistry, repository: string, bytes: Uint8Array) => Promise<Response>;

const ways: Record<string, Way> = {
  'POST and PUT': async ({ client }, repository, bytes) => (await client.pushBlob(repository, bytes)).response,
  'POST, PATCH and PUT': async ({ client }, repository, bytes) => {
    const patched = await client.send('PATCH', await client.start(repository), { body: chunked(bytes) });
    return await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)));
  },
  'one POST': async ({ client }, repository, bytes) =>
    await client.send('POST', withDigest(`/v2/${repository}/blobs/uploads/`, digestOf(bytes)), {
      body: new Uint8Array(bytes),
    }),
  chunks: async ({ client }, repository, bytes) => {
    const half = Math.floor(bytes.length / 2);
    const patched = await client.send('PATCH', await client.start(repository), {
      body: new Uint8Array(bytes.subarray(0, half)),
      headers: { 'Content-Range': `0-${half - 1}` },
    });
    return await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)), {
      body: new Uint8Array(bytes.subarray(half)),
      headers: { 'Content-Range': `${half}-${bytes.length - 1}` },
    });
  },
};

/** No key that a link may name is written twice, so a DELETE that arrives late meets no new bytes. */
export function writeOnceSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, bytes that a link may name`, () => {
    const registry = useInterceptedRegistry(open);

    for (const sizeBytes of [1000, 11 * MiB]) {
      it(`are written once, however ${sizeBytes} of them are pushed, at the same time and again`, async () => {
        const { interceptor, readBlob, keyOfLink } = registry();
        const bytes = randomBytes(sizeBytes);
        const digest = digestOf(bytes);
        const from = interceptor.written.length;
        const linked: Key[] = [];
        for (const round of ['first', 'second']) {
          const repositories = Object.keys(ways).map((_, index) => `${round}/app-${index}`);
          const pushes = Object.values(ways).map((push, index) => push(registry(), repositories[index] ?? '', bytes));
          for (const response of await Promise.all(pushes)) assert.equal(response.status, 201);
          for (const repository of repositories) assert.ok((await readBlob(repository, digest)).equals(bytes));
          linked.push(...(await Promise.all(repositories.map((repository) => keyOfLink(repository, digest)))));
        }
        const stored = interceptor.written.slice(from).filter(isBlobData);
        assert.deepEqual(stored, [...new Set(stored)]);
        for (const key of linked) assert.ok(stored.includes(key), `${key} was stored by one of these pushes`);
      });

      it(`get a new key when ${sizeBytes} of them are pushed again after their deletion`, async () => {
        const { client, storage, readBlob, keyOfLink } = registry();
        const bytes = randomBytes(sizeBytes);
        const { digest } = await client.pushBlob('deleted/app', bytes);
        const key = await keyOfLink('deleted/app', digest);
        await storage.delete(key);
        assert.equal((await client.pushBlob('deleted/app', bytes)).response.status, 201);
        assert.notEqual(await keyOfLink('deleted/app', digest), key);
        assert.ok((await readBlob('deleted/app', digest)).equals(bytes));
      });
    }
  });
}
