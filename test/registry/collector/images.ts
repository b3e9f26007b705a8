import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Key, type KeyPrefix, layout, parseImageRecord } from '../../../lib/model/layout.ts';
import { type Digest, hexOf, type ImageId, parseRepositoryName, parseTag, type Tag } from '../../../lib/model/names.ts';
import { encodeCondemnedLink } from '../../../lib/registry/blobs/link.ts';
import type { V1ImagesPolicy } from '../../../lib/registry/collector/image-reasons.ts';
import type { Stage } from '../../../lib/registry/collector/stage.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { readImageCell } from '../../../lib/registry/v1-images/image-cell.ts';
import { parseImageJson } from '../../../lib/registry/v1-images/image-json.ts';
import { readLayerDescriptor } from '../../../lib/registry/v1-images/layers.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import { StorageUnavailableError } from '../../../lib/storage/driver.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { oldBucket } from '../../old-buckets/generator.ts';
import { storeBucket } from '../../old-buckets/in-storage.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { expireLooks } from '../condemned/expire-looks.ts';
import { Bucket, keysOf, stagesOf } from './bucket.ts';
import type { OpenBucket } from './open.ts';

const DELETED = { untaggedPolicy: () => ({ olderThanMs: 0 }) };

/** What level (c) of the collector does to v1 images. Each test has storage of its own. */
export function imagesSuite(name: string, open: OpenBucket): void {
  describe(`on ${name}, the collector of v1 images`, () => {
    let bucket: Bucket;
    let close: () => Promise<void>;
    before(async () => {
      ({ bucket, close } = await open());
    });
    after(() => close());

    it('removes the projection of a manifest that is gone, and keeps images that another one shares', async () => {
      const [shared, own] = [await layer('projection/a', 'shared'), await layer('projection/a', 'own')];
      const kept = await project('projection/a', 'kept', [shared, own]);
      const other = await project('projection/a', 'other', [shared, await layer('projection/a', 'second')]);
      await bucket.storage.delete(layout.tag(parseRepositoryName('projection/a'), parseTag('other')));
      await runs(3, DELETED);
      assert.deepEqual(await objectsOf(other.top), []);
      for (const id of kept.ids) assert.ok(await isWhole(id), id);
      for (const id of kept.ids) assert.equal((await readImageCell(bucket.storage, id)).state, 'live');
      assert.deepEqual(
        (await keysBelow(layout.imageRecords(kept.ids[0] ?? kept.top))).filter((key) => key.includes(other.top)),
        [],
        'the grant of the manifest that is gone',
      );
    });

    it('keeps a projection whose manifest has no tag, or is in the history of one within the undo window', async () => {
      const untagged = await project('projection/kept', 'untagged', [await layer('projection/kept', 'untagged')]);
      const moved = await project('projection/kept', 'moved', [await layer('projection/kept', 'moved')]);
      const repository = parseRepositoryName('projection/kept');
      await bucket.move('projection/kept', 'moved', moved.digest);
      for (const tag of ['untagged', 'moved'] as Tag[]) await bucket.storage.delete(layout.tag(repository, tag));
      await runs(2, {});
      assert.ok(await isWhole(untagged.top));
      assert.ok(await isWhole(moved.top));
    });

    it('keeps the bytes of a projection that outlives its link', async () => {
      const blob = await layer('outlives/link', 'outlives');
      const { top, digest } = await project('outlives/link', 'v1', [blob]);
      const repository = parseRepositoryName('outlives/link');
      const link = { ...blob, sizeBytes: 1 };
      await bucket.storage.delete(layout.tag(repository, parseTag('v1')));
      await bucket.storage.delete(layout.manifest(repository, digest));
      await bucket.put(layout.blobLink(repository, blob.digest), encodeCondemnedLink(link, { run: 'r', nonce: 'n' }));
      await bucket.storage.delete(layout.blobLink(repository, blob.digest));
      const linked: boolean[] = [];
      const probe: Stage = {
        name: 'probe',
        run: async ({ filters }) => void linked.push(filters.linkedDigests.has(blob.digest)),
      };
      bucket.settle();
      await collect({ more: [probe] });
      assert.ok((await objectsOf(top)).length > 0);
      bucket.grace();
      await collect({ more: [probe] });
      bucket.grace();
      await collect({ more: [probe] });
      await collect({ more: [probe] });
      assert.deepEqual(await objectsOf(top), []);
      assert.deepEqual([linked.at(0), linked.at(-1)], [true, false]);
    });

    it('keeps images that v1 clients pushed, unless it is told to collect them', async () => {
      const id = await pushed('pushed/untagged');
      await runs(3, {});
      assert.ok(await isWhole(id));
      await runs(3, { v1Images: 'collect' });
      assert.deepEqual(await objectsOf(id), []);
    });

    it('keeps the ancestors of images that stay, projections included', async () => {
      const base = await project('ancestry/base', 'v1', [await layer('ancestry/base', 'base')]);
      const middle = await pushed('ancestry/middle', { parents: [base.top] });
      const top = await pushed('ancestry/top', { parents: [middle, base.top] });
      await bucket.storage.delete(layout.tag(parseRepositoryName('ancestry/base'), parseTag('v1')));
      await bucket.storage.delete(layout.manifest(parseRepositoryName('ancestry/base'), base.digest));
      await bucket.put(layout.tag(parseRepositoryName('ancestry/app'), parseTag('v1')), top);
      await runs(3, { v1Images: 'collect', ...DELETED });
      for (const id of [base.top, middle, top]) assert.ok(await isWhole(id), id);
      await bucket.storage.delete(layout.tag(parseRepositoryName('ancestry/app'), parseTag('v1')));
      await runs(3, {});
      for (const id of [base.top, middle, top])
        assert.ok(await isWhole(id), 'pushed images stay with what they build on');
    });

    it('keeps a grant that describes a projection which stays, of all grants that give no right', async () => {
      const base = await project('described/base', 'v1', [await layer('described/base', 'described')]);
      await pushed('described/child', { parents: [base.top] });
      const plain = [parseRepositoryName('a/first'), parseRepositoryName('z/last')].map((repository) =>
        layout.manifestGrant(base.top, repository, [base.digest]),
      );
      for (const key of plain) await bucket.put(key, 'a nonce');
      await bucket.storage.delete(layout.tag(parseRepositoryName('described/base'), parseTag('v1')));
      await bucket.storage.delete(layout.manifest(parseRepositoryName('described/base'), base.digest));
      await runs(3, DELETED);
      const grants = (await keysBelow(layout.imageProjections(base.top))).map(parseImageRecord);
      assert.deepEqual(
        grants.map((record) => record?.kind === 'grant' && record.grant.repository),
        ['described/base'],
      );
      assert.ok(await isWhole(base.top));
    });

    it('keeps the bytes of a projection on which a v1 client has tagged an image, without the manifest and the link', async () => {
      const repository = parseRepositoryName('built/base');
      const blob = await layer('built/base', 'built on');
      const base = await project('built/base', 'v1', [blob]);
      const child = await pushed('built/child', { parents: [base.top] });
      const { repositories } = assembleRegistry(bucket.storage, { copiesLayers: false });
      const reader = { mayPull: () => true, mayReadWithoutGrant: () => true, matchesPusher: () => false };
      await repositories.tagImage(parseRepositoryName('built/app'), parseTag('v1'), child, {
        userAgent: '',
        reader,
        by: 'a caller',
      });
      await bucket.storage.delete(layout.tag(repository, parseTag('v1')));
      await bucket.storage.delete(layout.manifest(repository, base.digest));
      await bucket.storage.delete(layout.blobLink(repository, blob.digest));
      await runs(3, { v1Images: 'collect', ...DELETED });
      for (const id of [base.top, child]) assert.ok(await isWhole(id), id);
      const described = await readLayerDescriptor(bucket.storage, base.top);
      assert.ok(described && (await bucket.has(described.key)));
    });

    it('keeps an image whose layer a link names, as that of a conversion', async () => {
      const [linked, unlinked] = [await pushed('conversion/linked'), await pushed('conversion/unlinked')];
      for (const id of [linked, unlinked]) await describeLayer(id);
      await bucket.link('conversion/app', layerDigestOf(linked), { key: layout.imageLayer(linked), sizeBytes: 1 });
      const config = await bucket.blob('conversion/app', 'config');
      const { digest } = await bucket.manifest('conversion/app', { blobs: [config.digest, layerDigestOf(linked)] });
      await bucket.tag('conversion/app', 'v2', digest);
      await runs(3, { v1Images: 'collect' });
      assert.ok(await isWhole(linked));
      assert.deepEqual(await objectsOf(unlinked), []);
    });

    it('keeps the images below a projection that was made and not granted yet', async () => {
      const { ids } = await project('ungranted/app', 'v1', [
        await layer('ungranted/app', 'base'),
        await layer('ungranted/app', 'top'),
      ]);
      // As a projection with a zstd layer, and those of version 0.1.0.
      for (const [index, id] of ids.entries()) {
        const manifest = index === 0 ? `sha256:${'0'.repeat(64)}` : `sha256:${id}`;
        const record = { manifest, below: index === 0 ? [] : ids.slice(0, index), made: true, replaces: false };
        await describeLayer(id);
        await bucket.put(layout.projectionRecord(id), JSON.stringify(record));
        for (const key of await keysBelow(layout.imageGrants(id, 'projection'))) await bucket.storage.delete(key);
      }
      await runs(3, {});
      for (const id of ids) assert.ok(await isWhole(id), id);
    });

    it('goes on in every step where it was interrupted', async () => {
      const base = await pushed('resumed/base');
      const kept = await pushed('resumed/kept', { parents: [base] });
      const gone = await pushed('resumed/gone');
      await bucket.put(layout.tag(parseRepositoryName('resumed/app'), parseTag('v1')), kept);
      const { undoMs } = bucket;
      const stages = stagesOf({ undoMs, v1Images: 'collect' });
      const interrupted = new Set<string>();
      for (let run = 0; run < 3; run++) {
        bucket.grace();
        for (let steps = 1; ; steps++) {
          const stop = new AbortController();
          let checkpoints = 0;
          const onProgress = (stage: string) => {
            if (++checkpoints < 2) return;
            interrupted.add(stage);
            stop.abort();
          };
          const outcome = await bucket.collector({ stages }).collect({ signal: stop.signal, onProgress });
          if (outcome.kind === 'complete') break;
          assert.equal(outcome.kind, 'interrupted');
          assert.ok(steps < 500, 'it gets on');
        }
      }
      assert.ok(interrupted.has('images') && interrupted.has('v1 lists'), [...interrupted].join());
      for (const id of [base, kept]) assert.ok(await isWhole(id), id);
      assert.deepEqual(await objectsOf(gone), []);
    });

    it('revives a condemned image that a tag names again', async () => {
      const id = await pushed('revived/again');
      bucket.grace();
      await collect({ v1Images: 'collect' });
      assert.equal((await readImageCell(bucket.storage, id)).state, 'condemned');
      await bucket.put(layout.tag(parseRepositoryName('revived/app'), parseTag('v1')), id);
      bucket.grace();
      await collect({ v1Images: 'collect' });
      assert.equal((await readImageCell(bucket.storage, id)).state, 'live');
      assert.ok(await isWhole(id));
    });

    it('removes no image that was condemned less than the grace period before the run', async () => {
      const id = await pushed('ripe/image');
      bucket.grace();
      await collect({ v1Images: 'collect' });
      await collect({ v1Images: 'collect' });
      assert.ok(await isWhole(id));
      assert.equal((await readImageCell(bucket.storage, id)).state, 'condemned');
    });

    it('keeps a push that is under way, and removes the rest of an old one', async () => {
      const young = idOf('young push');
      const old = idOf('old push');
      await bucket.put(layout.imageInProgress(old), 'true');
      await bucket.put(layout.pusherRecord(old, 'client'), '');
      bucket.grace();
      await bucket.put(layout.imageInProgress(young), 'true');
      bucket.settle();
      await collect({ v1Images: 'collect' });
      const states = await Promise.all([young, old].map(async (id) => (await readImageCell(bucket.storage, id)).state));
      assert.deepEqual(states, ['live', 'condemned']);
      bucket.grace();
      await runs(1, {});
      assert.deepEqual(await objectsOf(old), []);
    });

    it('removes an ancestry of which there is no image, as a projection leaves it that ended before it took the id', async () => {
      const [base, id] = [await pushed('ancestry/below'), idOf('ancestry alone')];
      await bucket.put(layout.imageAncestry(id), JSON.stringify([id, base]));
      bucket.settle();
      await collect({ v1Images: 'collect' });
      assert.equal((await readImageCell(bucket.storage, id)).state, 'live', 'it is young');
      await runs(2, {});
      assert.deepEqual(await objectsOf(id), []);
      await runs(2, { v1Images: 'collect' });
      assert.deepEqual(await objectsOf(base), [], 'it kept no other');
    });

    it('refuses a v1 push of an image that it removes, and no step leaves one that looks complete', async () => {
      const id = await pushed('removing/pushed-again');
      bucket.grace();
      await collect({ v1Images: 'collect' });
      bucket.grace();
      const deleted: Key[] = [];
      const refused: unknown[] = [];
      const watched = alterDriver(bucket.storage, (original) => ({
        delete: async (key, options) => {
          const result = await original.delete(key, options);
          if (!options?.onceWithin || !key.includes(id)) return result;
          deleted.push(key);
          refused.push(await pushJson(id).catch((error: Error) => error.message));
          assert.ok(!(await original.head(layout.imageJson(id))), `after the delete of ${key}`);
          return result;
        },
      }));
      await collect({ v1Images: 'collect', storage: watched });
      assert.deepEqual(deleted.slice(0, 2), [layout.imageJson(id), layout.imageLayer(id)]);
      assert.equal(new Set(deleted).size, deleted.length, 'each is deleted once');
      assert.ok(
        refused.every((message) => /is being removed/.test(String(message))),
        String(refused),
      );
      await pushJson(id);
      assert.ok(await bucket.has(layout.imageJson(id)));
    });

    it('takes over a removal that stopped, after the grace period and not before, whatever names the image now', async () => {
      const id = await pushed('takeover/image');
      bucket.grace();
      await collect({ v1Images: 'collect' });
      bucket.grace();
      let deletes = 0;
      const failing = alterDriver(bucket.storage, (original) => ({
        delete: async (key, options) => {
          if (options?.onceWithin && key.includes(id) && ++deletes > 1) throw new StorageUnavailableError('no answer');
          return await original.delete(key, options);
        },
      }));
      const { report } = await collect({ v1Images: 'collect', storage: failing });
      assert.equal(deletes, 2, 'no DELETE is repeated');
      assert.match(report.problems.samples.join(), new RegExp(id));
      assert.equal((await readImageCell(bucket.storage, id)).state, 'removing');
      assert.ok(!(await bucket.has(layout.imageJson(id))) && (await bucket.has(layout.imageLayer(id))));
      await collect({ v1Images: 'collect' });
      assert.ok(
        await bucket.has(layout.imageLayer(id)),
        'within the grace period the other collector may still be at it',
      );
      await bucket.put(layout.tag(parseRepositoryName('takeover/app'), parseTag('v1')), id);
      bucket.grace();
      await collect({ v1Images: 'collect' });
      assert.deepEqual(await objectsOf(id), []);
      assert.equal((await readImageCell(bucket.storage, id)).state, 'live');
    });

    it('deletes nothing once its look has expired', async () => {
      const id = await pushed('expired/look');
      bucket.grace();
      await collect({ v1Images: 'collect' });
      bucket.grace();
      const slow = alterDriver(bucket.storage, (original) => ({
        put: async (key, body, options) => {
          const etag = await original.put(key, body, options);
          if (key === layout.imageCell(id)) expireLooks();
          return etag;
        },
      }));
      await collect({ v1Images: 'collect', storage: slow });
      assert.ok(await isWhole(id));
      assert.equal((await readImageCell(bucket.storage, id)).state, 'removing');
    });

    it('prunes index images, metadata of tags that are gone, grants and sources', async () => {
      const repository = parseRepositoryName('lists/app');
      const [kept, gone] = [await pushed('lists/kept'), await pushed('lists/gone')];
      await bucket.put(layout.tag(repository, parseTag('v1')), kept);
      await bucket.put(layout.legacyTagJson(repository, parseTag('v1')), '{}');
      await bucket.put(layout.legacyTagJson(repository, parseTag('old')), '{"last_update": 1}');
      await bucket.put(layout.indexImages(repository), JSON.stringify([{ id: kept }, { id: gone, checksum: 'x' }]));
      const grant = (id: ImageId, tag: string) =>
        layout.tagGrant(id, 'pushed', repository, { tag: parseTag(tag), top: id });
      await bucket.put(grant(kept, 'v1'), '');
      await bucket.put(grant(kept, 'old'), '');
      const converted = `sha256:${idOf('converted')}` as Digest;
      await bucket.put(layout.conversionSource(converted, gone), '');
      await bucket.put(layout.conversionSource(converted, kept), '');
      await runs(3, { v1Images: 'collect' });
      bucket.grace();
      await collect({ v1Images: 'collect' });
      assert.deepEqual(await objectsOf(gone), []);
      const index = await bucket.storage.read(layout.indexImages(repository));
      assert.deepEqual(JSON.parse(Buffer.from(index?.bytes ?? []).toString()), [{ id: kept }]);
      assert.ok(await bucket.has(layout.legacyTagJson(repository, parseTag('v1'))));
      assert.ok(!(await bucket.has(layout.legacyTagJson(repository, parseTag('old')))));
      assert.ok(await bucket.has(grant(kept, 'v1')));
      assert.ok(!(await bucket.has(grant(kept, 'old'))));
      assert.ok(await bucket.has(layout.conversionSource(converted, kept)));
      assert.ok(!(await bucket.has(layout.conversionSource(converted, gone))));
    });

    it('keeps the source of a conversion that is made again while the run looks for its image', async () => {
      const gone = idOf('converted again');
      const source = layout.conversionSource(`sha256:${idOf('its conversion')}` as Digest, gone);
      await bucket.put(source, 'a nonce');
      bucket.age();
      const watched = alterDriver(bucket.storage, (original) => ({
        head: async (key) => {
          const found = await original.head(key);
          if (key === layout.imageJson(gone)) await original.put(source, encodeText('another nonce'));
          return found;
        },
      }));
      await collect({ storage: watched });
      // Without a condition, the delete may meet the new object: then the next read of all images finds the source.
      if (await bucket.storage.honorsDeleteConditions()) assert.ok(await bucket.has(source));
      bucket.age();
      await collect({});
      assert.ok(!(await bucket.has(source)), 'no image has been made of it');
    });

    it('touches no key that the layout does not have', async () => {
      const id = await pushed('unknown/key');
      const strangers = [
        `images/${id}/notes`,
        'images/readme',
        `oci/images/${id}/other/x`,
        'oci/images/odd/x',
      ] as Key[];
      for (const key of strangers) await bucket.put(key, 'x');
      await runs(3, { v1Images: 'collect' });
      for (const key of strangers) assert.ok(await bucket.has(key), key);
      assert.ok(!(await bucket.has(layout.imageJson(id))));
      for (const key of strangers) await bucket.storage.delete(key);
    });

    it('removes what the dry run listed, and nothing else', async () => {
      for (const content of ['dry/one', 'dry/two']) await pushed(content);
      await project('dry/run', 'gone', [await layer('dry/run', 'gone')]);
      await bucket.storage.delete(layout.tag(parseRepositoryName('dry/run'), parseTag('gone')));
      bucket.grace();
      for (let run = 0; run < 4; run++) {
        const planned = await collect({ v1Images: 'collect', isDryRun: true, ...DELETED });
        const done = await collect({ v1Images: 'collect', ...DELETED });
        for (const action of ['condemn', 'remove', 'revive', 'prune'] as const) {
          assert.deepEqual(keysOf(planned, action).toSorted(), keysOf(done, action).toSorted(), action);
        }
        bucket.grace();
      }
    });

    for (const isAdopted of [false, true]) {
      it(`loses nothing of a bucket of docker-registry 0.9.1, ${isAdopted ? '' : 'not '}adopted`, async () => {
        const old = oldBucket('0.9.1');
        await storeBucket(bucket.storage, old);
        if (isAdopted) {
          const { adoption } = assembleRegistry(bucket.storage, { copiesLayers: false });
          await adoption.run(await adoption.plan(), { layersAtOnce: 4 });
        }
        await runs(3, {});
        await runs(1, { v1Images: 'collect' });
        const keys = new Set(await bucket.keys());
        const isLost = (key: string) => !keys.has(key as Key);
        assert.deepEqual([...old.objects.keys()].filter(isLost), [], 'with v1_images: keep, and images condemned');
        await runs(2, { v1Images: 'collect' });
        const left = new Set<string>(await bucket.keys());
        const tagged = new Set(
          old.repositories.flatMap(({ tags }) => Object.values(tags)).flatMap((id) => ancestryIn(old.objects, id)),
        );
        assert.ok(tagged.size > 5);
        const parts = ['json', 'layer', 'ancestry'];
        const missing = [...tagged].flatMap((id) => parts.map((part) => `images/${id}/${part}`));
        assert.deepEqual(
          missing.filter((key) => old.objects.has(key) && !left.has(key)),
          [],
        );
      });
    }

    type Options = {
      v1Images?: V1ImagesPolicy;
      more?: Stage[];
      storage?: StorageDriver;
      isDryRun?: boolean;
      untaggedPolicy?: () => { olderThanMs: number };
    };

    async function collect({ v1Images = 'keep', more = [], storage, isDryRun = false, untaggedPolicy }: Options) {
      const { undoMs } = bucket;
      const used = new Bucket(storage ?? bucket.storage, bucket);
      const stages = [...stagesOf({ undoMs, v1Images, ...(untaggedPolicy && { untaggedPolicy }) }), ...more];
      const outcome = await used.collector({ stages }).collect({ isDryRun, maxListed: 10_000 });
      if (outcome.kind !== 'complete') throw new Error(JSON.stringify(outcome));
      return { ...outcome, kind: 'complete' as const };
    }

    /** Each run begins the grace period after the one before, and the first as long after what was written. */
    async function runs(count: number, options: Options): Promise<void> {
      for (let run = 0; run < count; run++) {
        bucket.grace();
        await collect(options);
      }
      bucket.grace();
    }

    async function layer(repository: string, content: string): Promise<{ digest: Digest; key: Key }> {
      return await bucket.blob(repository, `layer ${content}`);
    }

    /** Pushes a manifest of these layers and makes its projection. */
    async function project(
      repository: string,
      tag: string,
      layers: { digest: Digest }[],
    ): Promise<{ digest: Digest; top: ImageId; ids: ImageId[] }> {
      const config = await bucket.blob(repository, `{"architecture":"amd64","os":"linux","comment":"${tag}"}`);
      const blobs = [config.digest, ...layers.map(({ digest }) => digest)];
      const { digest } = await bucket.manifest(repository, { blobs, name: tag });
      await bucket.tag(repository, tag, digest);
      const { tagProjections } = assembleRegistry(bucket.storage, { copiesLayers: false });
      await tagProjections.update(parseRepositoryName(repository), parseTag(tag));
      const top = hexOf(digest) as ImageId;
      const ancestry = await bucket.storage.read(layout.imageAncestry(top));
      assert.ok(ancestry, 'it is projected');
      return { digest, top, ids: JSON.parse(Buffer.from(ancestry.bytes).toString()).toReversed() };
    }

    /** An image that a v1 client or docker-registry has pushed. */
    async function pushed(content: string, { parents = [] as ImageId[] } = {}): Promise<ImageId> {
      const id = idOf(content);
      const [parent] = parents;
      await bucket.put(layout.imageJson(id), JSON.stringify({ id, ...(parent && { parent }) }));
      await bucket.put(layout.imageLayer(id), `layer of ${id}`);
      await bucket.put(layout.imageAncestry(id), JSON.stringify([id, ...parents]));
      await bucket.put(layout.imageChecksum(id), '["sha256:0"]');
      return id;
    }

    function layerDigestOf(id: ImageId): Digest {
      return `sha256:${createHash('sha256').update(`layer of ${id}`).digest('hex')}` as Digest;
    }

    async function describeLayer(id: ImageId): Promise<void> {
      const digest = layerDigestOf(id);
      await bucket.put(layout.imageBlob(id, digest), '');
      const descriptor = { size: 1, digest, format: 'tar', key: layout.imageLayer(id), etag: 'x' };
      await bucket.put(layout.imageLayerDescriptor(id), JSON.stringify(descriptor));
    }

    async function pushJson(id: ImageId): Promise<void> {
      const { imagePushes } = assembleRegistry(bucket.storage, { copiesLayers: false });
      await imagePushes.putJson(parseImageJson(id, encodeText(JSON.stringify({ id }))), {
        pusherId: 'client',
        mayRead: async () => false,
        checkParent: async () => {},
      });
    }

    /** Everything of the image but its cell. */
    async function objectsOf(id: ImageId): Promise<Key[]> {
      const keys = [...(await keysBelow(layout.image(id))), ...(await keysBelow(layout.imageRecords(id)))];
      return keys.filter((key) => key !== layout.imageCell(id) && !key.includes('/sources/'));
    }

    async function keysBelow(prefix: KeyPrefix): Promise<Key[]> {
      return await Array.fromAsync(bucket.storage.list(prefix), ({ key }) => key);
    }

    async function isWhole(id: ImageId): Promise<boolean> {
      const records = await keysBelow(layout.imageRecords(id));
      const parts = [layout.imageJson(id), layout.imageAncestry(id)];
      const found = await Promise.all(parts.map((key) => bucket.has(key)));
      const hasLayer =
        (await bucket.has(layout.imageLayer(id))) ||
        (await hasDescribedLayer(records)) ||
        (records.includes(layout.projectionRecord(id)) && records.includes(layout.imageLayerDescriptor(id)));
      return found.every(Boolean) && hasLayer;
    }

    /** Whether grants describe a projection, and there are bytes of its layer. */
    async function hasDescribedLayer(records: readonly Key[]): Promise<boolean> {
      for (const record of records.map(parseImageRecord)) {
        if (record?.kind !== 'grant' || !record.grant.content) continue;
        return (await keysBelow(layout.blobFolder(record.grant.content.layer))).length > 0;
      }
      return false;
    }
  });
}

function idOf(content: string): ImageId {
  return createHash('sha256').update(content).digest('hex') as ImageId;
}

function ancestryIn(objects: ReadonlyMap<string, Uint8Array>, id: string): string[] {
  const ancestry = objects.get(`images/${id}/ancestry`);
  return ancestry ? JSON.parse(Buffer.from(ancestry).toString()) : [];
}
