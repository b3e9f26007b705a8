import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Key, type KeyPrefix, layout, parseRepositoryRecord, parseTagKey } from '../../../lib/model/layout.ts';
import { type Digest, digestOfHex, type ImageId, parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import { decodeBlobLink, encodeCondemnedLink } from '../../../lib/registry/blobs/link.ts';
import { Collector } from '../../../lib/registry/collector/collector.ts';
import { collectorStages } from '../../../lib/registry/collector/stages.ts';
import { condemnedBy } from '../../../lib/registry/condemned/condemned.ts';
import type { Registry } from '../../../lib/registry/registry.ts';
import type { LayerUsage } from '../../../lib/registry/usage/measure.ts';
import type { ObjectInfo, StorageDriver } from '../../../lib/storage/driver.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { type FullRegistry, fillRegistry, NO_WAIT, registryOver } from '../fsck/full-registry.ts';

const BIG_BYTES = 5 * 2 ** 20;
const big = parseRepositoryName('team/big');

/** The repositories that use each object with bytes, by reading every link, tag, ancestry and layer descriptor. */
async function usersOfBytes(storage: StorageDriver): Promise<Map<Key, Set<string>>> {
  const users = new Map<Key, Set<string>>();
  const add = (key: Key, repository: string) => users.set(key, (users.get(key) ?? new Set()).add(repository));
  const json = async (key: Key) => {
    const object = await storage.read(key);
    return object && (JSON.parse(Buffer.from(object.bytes).toString()) as unknown);
  };
  for await (const { key } of storage.list('' as KeyPrefix)) {
    const record = parseRepositoryRecord(key);
    if (record?.kind === 'link') {
      const object = await storage.read(key);
      if (object) add(decodeBlobLink(object.bytes, key).key, record.repository);
    }
    const tag = parseTagKey(key);
    if (!tag) continue;
    const top = Buffer.from((await storage.read(key))?.bytes ?? []).toString() as ImageId;
    for (const id of ((await json(layout.imageAncestry(top))) as ImageId[] | undefined) ?? []) {
      if (await storage.head(layout.imageLayer(id))) add(layout.imageLayer(id), tag.repository);
      const layer = (await json(layout.imageLayerDescriptor(id))) as { key: Key } | undefined;
      if (layer) add(layer.key, tag.repository);
    }
  }
  return users;
}

/** The same for objects that share bytes. */
function identityOf({ key, etag, sharesBytes }: ObjectInfo): string {
  return sharesBytes ? etag : key;
}

/** What repositories take up. */
export function usageSuite(name: string, open: () => Promise<OpenedStorage>): void {
  for (const v1Layers of ['copy', 'link'] as const) {
    describe(`usage on ${name}, v1_layers: ${v1Layers}`, () => {
      let opened: OpenedStorage;
      let storage: StorageDriver;
      let registry: Registry;
      let full: FullRegistry;
      before(async () => {
        opened = await open();
        storage = opened.driver;
        full = await fillRegistry(opened, { v1Layers, old: true });
        registry = registryOver(opened, v1Layers);
        await registry.fsck.run({ repair: 'on', onFinding: () => {} });
      });
      after(() => opened.close());

      const walk = async () => {
        const objects = await Array.fromAsync(storage.list('' as KeyPrefix));
        const stored = new Map(objects.map((object) => [identityOf(object), object.sizeBytes]));
        return { objects: objects.length, totalBytes: [...stored.values()].reduce((sum, size) => sum + size, 0) };
      };
      const run = async (options: Parameters<Registry['usage']['run']>[0] = {}) => {
        const before = await walk();
        const { overview, repositories } = await registry.usage.run(options);
        const { totalBytes, objects } = overview;
        assert.deepEqual({ totalBytes, objects }, { totalBytes: before.totalBytes, objects: before.objects });
        const { uniqueBytes, sharedBytes, reclaimableBytes, keptBytes, metadataBytes } = overview;
        assert.equal(uniqueBytes + sharedBytes + reclaimableBytes + keptBytes + metadataBytes, totalBytes);
        const of = (repository: string) => repositories.find((one) => one.repository === repository);
        return { overview, repositories, of };
      };
      const unlinkedBytes = async () => {
        let bytes = 0;
        await registry.fsck.run({
          onFinding: ({ kind, detail }) => {
            if (kind === 'unlinked-bytes') bytes += Number.parseInt(detail, 10);
          },
        });
        return bytes;
      };
      const linkTo = async (repository: typeof big, digest: Digest) => {
        const key = layout.blobLink(repository, digest);
        const object = await storage.read(key);
        assert.ok(object);
        return decodeBlobLink(object.bytes, key);
      };

      it('counts each object of storage once', async () => {
        const { overview, repositories, of } = await run();
        // Conversions of one image at once store a config each.
        assert.equal(overview.reclaimableBytes, await unlinkedBytes());
        assert.equal(
          repositories.reduce((sum, { uniqueBytes }) => sum + uniqueBytes, 0),
          overview.uniqueBytes,
        );
        assert.ok((of('team/big')?.uniqueBytes ?? 0) >= BIG_BYTES);
        assert.equal(of('team/mounted')?.uniqueBytes, 0);
        assert.deepEqual([of('team/app')?.tags, of('team/app')?.manifests], [2, 2]);
        assert.ok((of('ubuntu/ubuntu') ?? of('library/ubuntu'))?.totalBytes);
      });

      it('puts down to each repository what its links and the images of its tags name', async () => {
        const users = await usersOfBytes(storage);
        const stored = new Map<string, { sizeBytes: number; users: Set<string> }>();
        for (const [key, repositories] of users) {
          const object = await storage.head(key);
          if (!object) continue;
          const { sizeBytes } = object;
          const others = stored.get(identityOf(object))?.users ?? new Set();
          stored.set(identityOf(object), { sizeBytes, users: new Set([...others, ...repositories]) });
        }
        const expected = new Map<string, number>();
        for (const { sizeBytes, users } of stored.values()) {
          const [only] = users;
          if (only && users.size === 1) expected.set(only, (expected.get(only) ?? 0) + sizeBytes);
        }
        const { repositories } = await run({ writes: false });
        const unique = repositories.filter(({ uniqueBytes }) => uniqueBytes > 0);
        assert.deepEqual(
          Object.fromEntries(unique.map(({ repository, uniqueBytes }) => [repository, uniqueBytes])),
          Object.fromEntries(expected),
        );
      });

      it('stores summaries, which are read by one request each', async () => {
        const { overview, of } = await run();
        assert.deepEqual(await registry.usage.overview(), overview);
        assert.deepEqual(await registry.usage.summary(big), of('team/big'));
      });

      it('stores nothing if it shall not', async () => {
        const at = (await registry.usage.overview())?.at;
        await run({ writes: false });
        assert.equal((await registry.usage.overview())?.at, at);
      });

      it('tells once for each blob and layer which repositories use it, and what all copies of it take up', async () => {
        const layers: LayerUsage[] = [];
        const { overview } = await run({ onLayer: (layer) => void layers.push(layer), writes: false });
        const found = layers.filter(({ sizeBytes }) => sizeBytes === BIG_BYTES);
        const objects = await Array.fromAsync(storage.list('' as KeyPrefix));
        const copies = new Set(objects.filter(({ sizeBytes }) => sizeBytes === BIG_BYTES).map(identityOf)).size;
        const storedBytes = copies * BIG_BYTES;
        assert.deepEqual(found, [{ layer: full.big, sizeBytes: BIG_BYTES, storedBytes, repositories: ['team/big'] }]);
        assert.equal(new Set(layers.map(({ layer }) => layer)).size, layers.length);
        assert.equal(
          layers.reduce((sum, layer) => sum + layer.storedBytes, 0),
          overview.totalBytes - overview.metadataBytes,
        );
      });

      it('tells what each tag takes up, and what no other tag of its repository does', async () => {
        const [only] = await registry.usage.byTag(big);
        assert.deepEqual(only, { tag: '1.0', totalBytes: BIG_BYTES + 2, uniqueBytes: BIG_BYTES + 2 });
        const v1 = await registry.usage.byTag(parseRepositoryName('team/v1'));
        assert.ok((v1[0]?.totalBytes ?? 0) > 0);
      });

      it('counts bytes that two repositories link as shared, once in all and in each of them', async () => {
        const before = await run();
        const other = parseRepositoryName('team/mounted');
        const key = layout.blobLink(other, parseDigest(full.big));
        const object = await storage.read(layout.blobLink(big, parseDigest(full.big)));
        assert.ok(object);
        await storage.put(key, object.bytes);
        const now = await run();
        assert.equal(now.overview.sharedBytes - before.overview.sharedBytes, BIG_BYTES);
        for (const repository of ['team/big', 'team/mounted']) {
          const [a, b] = [before.of(repository), now.of(repository)];
          assert.equal((b?.sharedBytes ?? 0) - (a?.sharedBytes ?? 0), BIG_BYTES, repository);
        }
        await storage.delete(key);
      });

      it('counts as unique what the collector frees after the deletion of the repository', async () => {
        const stages = collectorStages({ undoMs: -60_000, findSources: async () => new Set() });
        const collect = async () => {
          for (let runs = 0; runs < 8; runs++) {
            const outcome = await new Collector(storage, { stages, times: { ...NO_WAIT, graceMs: -60_000 } }).collect();
            assert.equal(outcome.kind, 'complete', JSON.stringify(outcome));
          }
        };
        await collect(); // merges copies
        const before = await run({ writes: false });
        const server = await startRegistry(storage, { v1Layers });
        const client = new V2Client(server.url);
        const { headers } = await client.send('HEAD', '/v2/team/big/manifests/1.0');
        const digest = headers.get('Docker-Content-Digest');
        assert.equal((await client.send('DELETE', `/v2/team/big/manifests/${digest}`)).status, 202);
        await server.idle();
        await server.stop();
        await collect();
        const after = await run({ writes: false });
        const usedBytes = ({ overview: { uniqueBytes, sharedBytes } }: typeof before) => uniqueBytes + sharedBytes;
        assert.equal(usedBytes(before) - usedBytes(after), before.of('team/big')?.uniqueBytes);
        const ofBytes = (measured: typeof before) => measured.overview.totalBytes - measured.overview.metadataBytes;
        assert.equal(ofBytes(before) - ofBytes(after), before.of('team/big')?.uniqueBytes);
        assert.equal(after.overview.reclaimableBytes, 0);
        const { errors } = await registry.fsck.run({ level: 'bytes', onFinding: () => {} });
        assert.equal(errors, 0);
        full = await fillRegistry(opened, { v1Layers });
      });

      it('counts as reclaimable what no link, or only a condemned one, names', async () => {
        const before = await run();
        const digest = parseDigest(full.big);
        await storage.put(layout.blobCopy(digestOfHex('ab'.repeat(32)), randomUUID()), randomBytes(1000));
        await storage.put(layout.data(randomUUID()), randomBytes(2000));
        await storage.put(layout.uploadScrap(randomUUID()), randomBytes(3000));
        await storage.put(
          layout.blobLink(big, digest),
          encodeCondemnedLink(await linkTo(big, digest), condemnedBy('r')),
        );
        const { overview } = await run();
        assert.equal(overview.reclaimableBytes - before.overview.reclaimableBytes, BIG_BYTES + 6000);
        assert.equal(before.overview.uniqueBytes - overview.uniqueBytes, BIG_BYTES);
      });
    });
  }
}
