import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Key, layout } from '../../../lib/model/layout.ts';
import { type ImageId, parseDigest, parseImageId } from '../../../lib/model/names.ts';
import { decodeBlobLink } from '../../../lib/registry/blobs/link.ts';
import { type Bucket, keysOf } from './bucket.ts';
import type { OpenBucket } from './open.ts';

const uuidOf = (key: Key) => key.slice(-36);

/** What level (b) of the collector does to bytes. Each test has repositories and bytes of its own. */
export function bytesSuite(name: string, open: OpenBucket): void {
  describe(`on ${name}, the collector`, () => {
    let bucket: Bucket;
    let close: () => Promise<void>;
    before(async () => {
      ({ bucket, close } = await open());
    });
    after(() => close());

    const keyOfLink = async (link: Key) => {
      const object = await bucket.storage.read(link);
      assert.ok(object);
      return decodeBlobLink(object.bytes, link).key;
    };

    it('marks bytes that no link names once they are old enough, and deletes them with their mark the grace period later', async () => {
      const { digest, key, link } = await bucket.blob('bytes/unlinked', 'unlinked');
      await bucket.storage.delete(link);
      const mark = layout.blobMark(digest, uuidOf(key));
      const inData = await bucket.data('unlinked in data');
      bucket.settle();
      await bucket.collect();
      assert.ok(!(await bucket.has(mark)), 'an upload may be under way');
      bucket.age();
      assert.deepEqual(keysOf(await bucket.collect(), 'mark', 'bytes').toSorted(), [key, inData.key].toSorted());
      assert.ok(await bucket.has(mark));
      await bucket.collect();
      assert.ok(await bucket.has(key), 'a run within the grace period deletes nothing');
      bucket.grace();
      assert.deepEqual(keysOf(await bucket.collect(), 'remove', 'bytes').toSorted(), [key, inData.key].toSorted());
      for (const gone of [key, mark, inData.key, inData.pointer, layout.blobMark(inData.digest, inData.uuid)]) {
        assert.equal(await bucket.storage.head(gone), undefined, gone);
      }
    });

    it('keeps bytes that a link of any repository names, live or condemned', async () => {
      const kept = await bucket.image('bytes/linked', 'linked', 'v');
      const condemned = await bucket.blob('bytes/condemned', 'condemned link');
      bucket.age();
      await bucket.collect();
      assert.ok(await bucket.isCondemned(condemned.link));
      for (const { key, digest } of [kept.blob, condemned]) {
        assert.ok(!(await bucket.has(layout.blobMark(digest, uuidOf(key)))), key);
      }
      await bucket.collectAll({}, 3);
      assert.ok(await bucket.has(kept.blob.key));
      assert.ok(!(await bucket.has(condemned.key)));
    });

    it('never takes a mark back while its bytes exist, and deletes no bytes that are linked again', async () => {
      const { digest, key, link } = await bucket.blob('bytes/relinked', 'relinked');
      await bucket.storage.delete(link);
      bucket.age();
      await bucket.collect();
      const mark = layout.blobMark(digest, uuidOf(key));
      assert.ok(await bucket.has(mark));
      const manifest = await bucket.manifest('bytes/relinked', { blobs: [digest] });
      await bucket.link('bytes/relinked', digest, { key, sizeBytes: 8 });
      await bucket.tag('bytes/relinked', 'v', manifest.digest);
      await bucket.collectAll({}, 3);
      assert.ok(await bucket.has(key));
      assert.ok(await bucket.has(mark));
    });

    it('removes a mark whose bytes are gone', async () => {
      const digest = parseDigest(`sha256:${'ab'.repeat(32)}`);
      const mark = layout.blobMark(digest, randomUUID());
      await bucket.put(mark, '');
      await bucket.collect();
      assert.ok(!(await bucket.has(mark)));
    });

    it('goes on where a run ended between the deletion of bytes, of their pointer and of their mark', async () => {
      const { digest, uuid, key, pointer } = await bucket.data('half deleted');
      bucket.age();
      await bucket.collect();
      await bucket.storage.delete(key);
      bucket.grace();
      await bucket.collect();
      for (const gone of [pointer, layout.blobMark(digest, uuid)]) assert.ok(!(await bucket.has(gone)), gone);
    });

    it('keeps the bytes that the descriptor of a v1 layer names, by its marker or without one', async () => {
      const id = (digit: string): ImageId => parseImageId(digit.repeat(64));
      const marked = await bucket.data('layer with a marker');
      await bucket.put(layout.imageBlob(id('a'), marked.digest), '');
      const unmarked = await bucket.data('layer without a marker');
      const descriptor = { size: 3, digest: unmarked.digest, format: 'tar', key: unmarked.key };
      await bucket.put(layout.imageLayerDescriptor(id('b')), JSON.stringify(descriptor));
      for (const digit of ['a', 'b']) await bucket.put(layout.imageJson(id(digit)), '{}');
      bucket.age();
      await bucket.collectAll({}, 3);
      for (const { key } of [marked, unmarked]) assert.ok(await bucket.has(key), key);
    });

    it('moves links to the oldest copy without a mark, and lets the other copies go', async () => {
      const first = await bucket.blob('copies/a', 'several copies');
      bucket.settle(); // the others are later by the clock of storage
      const second = await bucket.blob('copies/b', 'several copies');
      const third = await bucket.blob('copies/c', 'several copies');
      for (const repository of ['copies/a', 'copies/b', 'copies/c']) {
        const { digest } = await bucket.manifest(repository, { blobs: [first.digest] });
        await bucket.tag(repository, 'v', digest);
      }
      bucket.age();
      await bucket.collect();
      const merged = keysOf(await bucket.collect(), 'merge', 'link');
      assert.deepEqual(merged, [second.link, third.link]);
      for (const { link } of [first, second, third]) assert.equal(await keyOfLink(link), first.key);
      for (const { key } of [second, third]) {
        assert.ok(await bucket.has(layout.blobMark(first.digest, uuidOf(key))), key);
      }
      assert.ok(!(await bucket.has(layout.blobMark(first.digest, uuidOf(first.key)))));
      bucket.grace();
      await bucket.collect();
      for (const { key } of [second, third]) assert.ok(!(await bucket.storage.head(key)), key);
      assert.ok(await bucket.has(first.key));
    });

    it('moves links to the copy that a v1 image names, since it does not change what an image names', async () => {
      const older = await bucket.blob('named/a', 'a copy for an image');
      bucket.settle();
      const named = await bucket.blob('named/b', 'a copy for an image');
      for (const repository of ['named/a', 'named/b']) {
        const { digest } = await bucket.manifest(repository, { blobs: [older.digest] });
        await bucket.tag(repository, 'v', digest);
      }
      const id = parseImageId('c'.repeat(64));
      const descriptor = { size: 3, digest: named.digest, format: 'tar', key: named.key };
      await bucket.put(layout.imageBlob(id, named.digest), '');
      await bucket.put(layout.imageLayerDescriptor(id), JSON.stringify(descriptor));
      await bucket.put(layout.imageJson(id), '{}');
      bucket.age();
      await bucket.collect();
      await bucket.collect();
      assert.equal(await keyOfLink(older.link), named.key);
      bucket.grace();
      await bucket.collect();
      assert.deepEqual([await bucket.has(older.key), await bucket.has(named.key)], [false, true]);
    });

    it('lists in a dry run what it does with copies when it condemns or revives a link of them', async () => {
      const repositories = ['copies/kept', 'copies/condemned', 'copies/revived'];
      const blobs = [];
      for (const repository of repositories) blobs.push(await bucket.blob(repository, 'copies of a dry run'));
      const [kept, condemned, revived] = blobs;
      assert.ok(kept && condemned && revived);
      await bucket.manifest('copies/kept', { blobs: [kept.digest] });
      const { key: manifest } = await bucket.manifest('copies/condemned', { blobs: [kept.digest] });
      bucket.age();
      await bucket.collect();
      assert.ok(await bucket.isCondemned(revived.link));
      await bucket.storage.delete(manifest);
      await bucket.manifest('copies/revived', { blobs: [kept.digest] });
      bucket.settle();
      const planned = await bucket.collect({ isDryRun: true });
      const done = await bucket.collect();
      assert.deepEqual(done.report.list, planned.report.list);
      assert.ok(keysOf(done, 'condemn', 'link').includes(condemned.link));
      assert.ok(keysOf(done, 'revive', 'link').includes(revived.link));
      assert.deepEqual(keysOf(done, 'merge', 'link').toSorted(), [kept.link, revived.link]);
    });

    it('deletes no copy that a link names, though another copy has no mark', async () => {
      const [first, second] = [
        await bucket.blob('copies/d', 'named copies'),
        await bucket.blob('copies/e', 'named copies'),
      ];
      await bucket.storage.delete(first.link);
      await bucket.put(layout.blobMark(first.digest, uuidOf(first.key)), '');
      await bucket.link('copies/d', first.digest, { key: first.key, sizeBytes: 12 });
      for (const repository of ['copies/d', 'copies/e']) {
        const { digest } = await bucket.manifest(repository, { blobs: [first.digest] });
        await bucket.tag(repository, 'v', digest);
      }
      // Another process has changed the link when the collector moves it: then its copy stays.
      bucket.age();
      await bucket.collect();
      bucket.grace();
      await bucket.collect();
      assert.equal(await keyOfLink(first.link), second.key);
      assert.ok(
        (await bucket.has(second.key)) && !(await bucket.has(layout.blobMark(first.digest, uuidOf(second.key)))),
      );
    });

    it('deletes data without a pointer once two runs, the grace period apart, have seen it', async () => {
      const uuid = randomUUID();
      await bucket.put(layout.data(uuid), 'never completed');
      const named = await bucket.data('named');
      await bucket.link('data/named', named.digest, { key: named.key, sizeBytes: 5 });
      const manifest = await bucket.manifest('data/named', { blobs: [named.digest] });
      await bucket.tag('data/named', 'v', manifest.digest);
      bucket.settle();
      await bucket.collect();
      assert.ok(!(await bucket.has(layout.unnamedData(uuid))), 'an upload may be under way');
      bucket.age();
      await bucket.collect();
      assert.ok(await bucket.has(layout.unnamedData(uuid)));
      await bucket.collect();
      assert.ok(await bucket.has(layout.data(uuid)));
      bucket.grace();
      assert.deepEqual(keysOf(await bucket.collect(), 'remove', 'unnamed data'), [layout.data(uuid)]);
      assert.ok(!(await bucket.has(layout.unnamedData(uuid))));
      assert.ok(await bucket.has(named.key));
    });

    it('keeps data whose pointer is written after a run has seen it without one', async () => {
      const late = await bucket.data('late pointer');
      await bucket.storage.delete(late.pointer);
      bucket.age();
      await bucket.collect();
      assert.ok(await bucket.has(layout.unnamedData(late.uuid)));
      await bucket.put(late.pointer, '');
      await bucket.link('data/late', late.digest, { key: late.key, sizeBytes: 12 });
      const manifest = await bucket.manifest('data/late', { blobs: [late.digest] });
      await bucket.tag('data/late', 'v', manifest.digest);
      bucket.grace();
      await bucket.collect();
      assert.ok(await bucket.has(late.key));
      assert.ok(!(await bucket.has(layout.unnamedData(late.uuid))));
    });

    it('removes what expired uploads have left, and leaves a key that the layout does not have', async () => {
      const scrap = layout.uploadScrap(randomUUID());
      const unknown = `oci/blobs/sha256/${'cd'.repeat(32)}/backup` as Key;
      for (const key of [scrap, unknown]) await bucket.put(key, 'x');
      bucket.settle();
      await bucket.collect();
      assert.ok(await bucket.has(scrap));
      bucket.age();
      const { report } = await bucket.collect();
      assert.ok(!(await bucket.has(scrap)));
      await bucket.collectAll({}, 2);
      assert.ok(await bucket.has(unknown));
      assert.ok(report.unknown.samples.includes(unknown));
      await bucket.storage.delete(unknown);
    });
  });
}
