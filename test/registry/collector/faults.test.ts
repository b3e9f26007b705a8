import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Key, type KeyPrefix, layout } from '../../../lib/model/layout.ts';
import { type ImageId, parseImageId, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { Blobs } from '../../../lib/registry/blobs/blobs.ts';
import { ReusableBytes } from '../../../lib/registry/blobs/reusable-bytes.ts';
import { BlobStore } from '../../../lib/registry/blobs/store.ts';
import { Collector } from '../../../lib/registry/collector/collector.ts';
import { ImageGrants } from '../../../lib/registry/v1-images/grants.ts';
import { type PutOptions, StorageUnavailableError } from '../../../lib/storage/driver.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { expireLooks } from '../condemned/expire-looks.ts';
import { Bucket, keysOf, stagesOf } from './bucket.ts';

const DELETED = { untaggedPolicy: () => ({ olderThanMs: 0 }) };

const repository = parseRepositoryName('fault/app');

describe('where a process or storage fails, the collector and the writers', () => {
  it('link no bytes that were removed while the process that had stored them was suspended', async () => {
    const storage = new MemoryStorage();
    const reusable = new ReusableBytes(storage);
    const stored = await new BlobStore(storage, reusable).putSmall(encodeText('own bytes'));
    expireLooks();
    await storage.delete(stored.key);
    await assert.rejects(new Blobs(storage, reusable).link(repository, stored), StorageUnavailableError);
    assert.ok(!storage.objects.has(layout.blobLink(repository, stored.digest)));
  });

  it('link bytes that are there still when their process goes on', async () => {
    const storage = new MemoryStorage();
    const reusable = new ReusableBytes(storage);
    const stored = await new BlobStore(storage, reusable).putSmall(encodeText('own bytes'));
    expireLooks();
    await new Blobs(storage, reusable).link(repository, stored);
    assert.ok(storage.objects.has(layout.blobLink(repository, stored.digest)));
  });

  it('delete no grant that was written again since it was listed', async () => {
    const id = imageOf('a');
    const by = { tag: parseTag('1.0'), top: id };
    const grant = layout.tagGrant(id, 'pushed', repository, by);
    const storage = new (class extends MemoryStorage {
      override async delete(key: Key, options = {}) {
        if (key === grant) await grants.grantByTag(repository, by, [{ id, imageKind: 'pushed' }]);
        return await super.delete(key, options);
      }
    })();
    const grants = new ImageGrants(storage);
    const bucket = await Bucket.inMemory(storage);
    await bucket.put(layout.imageJson(id), '{}');
    await grants.grantByTag(repository, by, [{ id, imageKind: 'pushed' }]);
    bucket.grace();
    await bucket.collect();
    assert.ok(await bucket.storage.head(grant));
  });

  it('write the grant to the top image after those to the images below it', async () => {
    const [top, base] = [imageOf('b'), imageOf('c')];
    const storage = new (class extends MemoryStorage {
      override async put(key: Key, body: Uint8Array, options = {}) {
        if (key.includes(base)) throw new StorageUnavailableError('no answer');
        return await super.put(key, body, options);
      }
    })();
    const grants = new ImageGrants(storage);
    const images = [top, base].map((id) => ({ id, imageKind: 'pushed' as const }));
    await assert.rejects(grants.grantByTag(repository, { tag: parseTag('1.0'), top }, images));
    assert.deepEqual([...storage.objects.keys()], []);
  });

  it('condemn no manifest of a repository whose tags cannot all be read', async () => {
    const bucket = await Bucket.inMemory();
    const { manifest } = await bucket.image('fault/app', 'damaged tag');
    await bucket.put(layout.tag(repository, parseTag('1.0')), 'no digits');
    bucket.grace();
    const { report } = await bucket.collect(DELETED);
    assert.ok(!(await bucket.isCondemned(manifest.key)));
    assert.match(report.problems?.samples.join() ?? '', /tag_1\.0/);
  });

  it('keep the images below a tagged one whose ancestry is damaged', async () => {
    const bucket = await Bucket.inMemory();
    const [top, base] = [imageOf('d'), imageOf('e')];
    await bucket.put(layout.imageJson(base), JSON.stringify({ id: base }));
    await bucket.put(layout.imageAncestry(base), JSON.stringify([base]));
    await bucket.put(layout.imageJson(top), JSON.stringify({ id: top, parent: base }));
    await bucket.put(layout.imageAncestry(top), '[');
    await bucket.put(layout.tag(repository, parseTag('1.0')), top);
    bucket.grace();
    const { times, now } = bucket;
    const stages = stagesOf({ v1Images: 'collect' });
    for (let run = 0; run < 3; run++) {
      assert.equal((await new Collector(bucket.storage, { stages, times, now }).collect()).kind, 'complete');
      bucket.grace();
    }
    assert.ok(await bucket.has(layout.imageJson(base)));
  });

  it('end a run in which a link could not be moved to another copy, and move it in a later run', async () => {
    let isUp = false;
    const storage = new (class extends MemoryStorage {
      override async put(key: Key, body: Uint8Array, options: PutOptions = {}) {
        if (!isUp && options.look && key.includes('/blobs/')) throw new StorageUnavailableError('the look has expired');
        return await super.put(key, body, options);
      }
    })();
    const bucket = await Bucket.inMemory(storage);
    const first = await bucket.blob('fault/a', 'two copies');
    bucket.settle();
    const second = await bucket.blob('fault/b', 'two copies');
    for (const name of ['fault/a', 'fault/b']) {
      const { digest } = await bucket.manifest(name, { blobs: [first.digest] });
      await bucket.tag(name, 'v', digest);
    }
    bucket.age();
    await bucket.collect();
    assert.deepEqual(keysOf(await bucket.collect(), 'merge', 'link'), []);
    isUp = true;
    assert.deepEqual(keysOf(await bucket.collect(), 'merge', 'link'), [second.link]);
  });

  it('stop a run while storage does not answer, and go on with the same run afterwards', async () => {
    let isUp = true;
    const storage = new (class extends MemoryStorage {
      override async put(key: Key, body: Uint8Array, options: PutOptions = {}) {
        if (!isUp && key.startsWith('oci/images/')) throw new StorageUnavailableError('storage does not answer');
        return await super.put(key, body, options);
      }
    })();
    const bucket = await Bucket.inMemory(storage);
    for (const digit of ['a', 'b']) await bucket.put(layout.imageJson(imageOf(digit)), '{}');
    bucket.grace();
    const options = { stages: stagesOf({ v1Images: 'collect' }), times: bucket.times, now: bucket.now };
    isUp = false;
    await assert.rejects(new Collector(storage, options).collect(), StorageUnavailableError);
    const { run, endedAt } = (await new Collector(storage, options).state()) ?? {};
    assert.equal(endedAt, undefined);
    isUp = true;
    const resumed = await new Collector(storage, options).collect();
    assert.ok(resumed.kind === 'complete' && resumed.run === run);
    assert.equal(resumed.report.actions.condemn?.image?.count, 2);
    assert.equal(resumed.report.problems.count, 0);
  });

  it('take the metadata of a tag for no tag', async () => {
    const bucket = await Bucket.inMemory();
    const { manifest } = await bucket.image('fault/app', 'metadata of a tag');
    await bucket.put(layout.legacyTagJson(repository, parseTag('_x')), '{"last_update": 1}');
    bucket.grace();
    await bucket.collect(DELETED);
    assert.ok(await bucket.isCondemned(manifest.key));
  });

  it('condemn nothing of a repository where a manifest has the bytes of another one', async () => {
    const bucket = await Bucket.inMemory();
    const { manifest, blob } = await bucket.image('fault/app', 'damaged manifest', '1.0');
    const other = await bucket.image('fault/other', 'another manifest', '1.0');
    const bytes = (await bucket.storage.read(other.manifest.key))?.bytes ?? new Uint8Array();
    await bucket.put(manifest.key, bytes);
    bucket.grace();
    await bucket.collect(DELETED);
    assert.ok(!(await bucket.isCondemned(blob.link)));
  });

  it('end a run in which a listing repeats a page', async () => {
    const storage = new (class extends MemoryStorage {
      override async *list(prefix: KeyPrefix, options = {}) {
        const page = await Array.fromAsync(super.list(prefix, options));
        yield* page;
        if (prefix === layout.blobs()) yield* page;
      }
    })();
    const bucket = await Bucket.inMemory(storage);
    await bucket.image('fault/app', 'first', '1.0');
    await bucket.image('fault/app', 'second', '2.0');
    await assert.rejects(bucket.collect(), /storage lists/);
  });

  it('begin a new run where the memory of an interrupted one is damaged', async () => {
    const bucket = await Bucket.inMemory();
    const { blob } = await bucket.image('fault/app', 'kept', '1.0');
    bucket.grace();
    const stopping = new AbortController();
    const options = { times: bucket.times, now: bucket.now, checkpointMs: 0, stages: stagesOf({}) };
    stopping.abort();
    const interrupted = await new Collector(bucket.storage, options).collect({ signal: stopping.signal });
    assert.equal(interrupted.kind, 'interrupted');
    const parts = await Array.fromAsync(bucket.storage.list(layout.collectorParts()));
    assert.ok(parts.length > 0);
    for (const { key } of parts) await bucket.put(key, 'torn');
    const { run } = await bucket.collect();
    assert.notEqual(run, 'run' in interrupted ? interrupted.run : '');
    await bucket.collectAll({}, 3);
    assert.ok(await bucket.has(blob.key));
  });

  it('move no link to bytes that were lost', async () => {
    const bucket = await Bucket.inMemory();
    const lost = await bucket.data('several copies');
    const { key, link, digest } = await bucket.blob('fault/app', 'several copies');
    await bucket.storage.delete(lost.key);
    const manifest = await bucket.manifest('fault/app', { blobs: [digest] });
    await bucket.tag('fault/app', '1.0', manifest.digest);
    bucket.age();
    await bucket.collectAll({}, 4);
    assert.ok(await bucket.has(key));
    assert.match(Buffer.from((await bucket.storage.read(link))?.bytes ?? []).toString(), new RegExp(key));
  });

  it('delete no bytes in the run that moved a link away from them', async () => {
    const bucket = await Bucket.inMemory();
    const [first, second] = [
      await bucket.blob('fault/app', 'moved away'),
      await bucket.blob('fault/other', 'moved away'),
    ];
    for (const name of ['fault/app', 'fault/other']) {
      const { digest } = await bucket.manifest(name, { blobs: [first.digest] });
      await bucket.tag(name, '1.0', digest);
    }
    await bucket.put(layout.blobMark(first.digest, first.key.slice(-36)), '');
    bucket.age();
    await bucket.collect();
    bucket.grace();
    assert.deepEqual(keysOf(await bucket.collect(), 'merge', 'link'), [first.link]);
    assert.ok(await bucket.has(first.key), 'a client may read the bytes whose link it has just got');
    await bucket.collect();
    assert.ok(!(await bucket.has(first.key)));
    assert.ok(await bucket.has(second.key));
  });

  it('keep bytes that a link in a folder of no known name leads to', async () => {
    const bucket = await Bucket.inMemory();
    const { digest, key, link } = await bucket.blob('fault/app', 'strange folder');
    const bytes = (await bucket.storage.read(link))?.bytes ?? new Uint8Array();
    await bucket.storage.delete(link);
    await bucket.put(`oci/repositories/a/b%252Fc/blobs/${digest.replace(':', '/')}` as Key, bytes);
    bucket.age();
    await bucket.collectAll({}, 3);
    assert.ok(await bucket.has(key));
  });
});

function imageOf(digit: string): ImageId {
  return parseImageId(digit.repeat(64));
}
