import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { digestOf } from '../../../lib/model/content-digest.ts';
import { layout } from '../../../lib/model/layout.ts';
import { type Digest, hexOf, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { type Bucket, keysOf } from './bucket.ts';
import type { OpenBucket } from './open.ts';

const DELETED = { untaggedPolicy: () => ({ olderThanMs: 0 }) };

/** What level (a) of the collector does to one repository. Each test has repositories of its own. */
export function repositoriesSuite(name: string, open: OpenBucket): void {
  describe(`on ${name}, the collector`, () => {
    let bucket: Bucket;
    let close: () => Promise<void>;
    before(async () => {
      ({ bucket, close } = await open());
    });
    after(() => close());
    const grace = () => bucket.grace();

    it('condemns a link that no manifest names, and removes it in a run that starts the grace period later', async () => {
      const { link } = await bucket.blob('links/unnamed', 'unnamed');
      bucket.settle();
      await bucket.collect();
      assert.ok(await bucket.isCondemned(link));
      await bucket.collect();
      assert.ok(await bucket.isCondemned(link), 'a second run within the grace period removes nothing');
      grace();
      const outcome = await bucket.collect();
      assert.ok(!(await bucket.has(link)));
      assert.deepEqual(
        keysOf(outcome, 'remove', 'link').filter((key) => key === link),
        [link],
      );
    });

    it('keeps what a tag, an index, a subject or an untagged manifest holds', async () => {
      const tagged = await bucket.image('kept/all', 'tagged', '1.0');
      const child = await bucket.image('kept/all', 'child');
      const index = await bucket.manifest('kept/all', { children: [child.manifest.digest] });
      await bucket.tag('kept/all', 'multi', index.digest);
      const signature = await bucket.manifest('kept/all', { subject: index.digest, blobs: [tagged.blob.digest] });
      grace();
      await bucket.collectAll(DELETED, 2);
      const untagged = await bucket.image('kept/all', 'untagged');
      await bucket.collectAll({}, 2);
      for (const key of [tagged.manifest, child.manifest, index, signature, untagged.manifest].map(({ key }) => key)) {
        assert.ok((await bucket.has(key)) && !(await bucket.isCondemned(key)), key);
      }
      for (const key of [tagged, child, untagged].map(({ blob }) => blob.link)) {
        assert.ok((await bucket.has(key)) && !(await bucket.isCondemned(key)), key);
      }
    });

    it('holds children and links by a condemned manifest, and lets them go after it', async () => {
      const child = await bucket.image('cascade/index', 'child');
      const index = await bucket.manifest('cascade/index', { children: [child.manifest.digest] });
      grace();
      await bucket.collect(DELETED);
      assert.ok(await bucket.isCondemned(index.key));
      assert.ok(!(await bucket.isCondemned(child.manifest.key)));
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.has(index.key)));
      assert.ok(await bucket.isCondemned(child.manifest.key));
      assert.ok(!(await bucket.isCondemned(child.blob.link)));
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.has(child.manifest.key)));
      assert.ok(await bucket.isCondemned(child.blob.link));
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.has(child.blob.link)));
    });

    it('revives what is condemned and named again', async () => {
      const { blob, manifest } = await bucket.image('revived/tag', 'again');
      const other = await bucket.blob('revived/tag', 'link');
      const before = await bucket.storage.read(manifest.key);
      grace();
      await bucket.collect(DELETED);
      for (const key of [manifest.key, other.link]) assert.ok(await bucket.isCondemned(key), key);
      await bucket.tag('revived/tag', 'latest', manifest.digest);
      await bucket.manifest('revived/tag', { blobs: [other.digest] });
      grace();
      await bucket.collect();
      for (const key of [manifest.key, blob.link, other.link]) {
        assert.ok((await bucket.has(key)) && !(await bucket.isCondemned(key)), key);
      }
      assert.deepEqual((await bucket.storage.read(manifest.key))?.bytes, before?.bytes);
    });

    it('lets a signature go after its subject, with its entry, facts and marker of pulls', async () => {
      const repository = parseRepositoryName('signed/app');
      const image = await bucket.image('signed/app', 'signed');
      const signature = await bucket.manifest('signed/app', { subject: image.manifest.digest, name: 'signature' });
      const entry = layout.referrer(repository, image.manifest.digest, signature.digest);
      const facts = layout.facts(repository, image.manifest.digest, 'image.1');
      const pulled = layout.lastPulled(repository, image.manifest.digest);
      for (const key of [facts, pulled]) await bucket.put(key, '');
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.isCondemned(signature.key)));
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.has(image.manifest.key)));
      for (const key of [facts, pulled]) assert.ok(!(await bucket.storage.head(key)), key);
      assert.ok(await bucket.isCondemned(signature.key));
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.has(signature.key)));
      assert.ok(await bucket.isCondemned(entry));
      grace();
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.has(entry)));
    });

    it('keeps what a tag has named for the undo window after it moved, and then lets it go with its entry', async () => {
      const first = await bucket.image('undo/app', 'first', 'v');
      const firstMove = await bucket.move('undo/app', 'v', first.manifest.digest);
      bucket.pass(2 * bucket.undoMs);
      const second = await bucket.image('undo/app', 'second', 'v');
      const secondMove = await bucket.move('undo/app', 'v', second.manifest.digest);
      bucket.pass(Math.ceil(bucket.undoMs / 2));
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.isCondemned(first.manifest.key)));
      bucket.pass(bucket.undoMs + bucket.slackMs);
      const outcome = await bucket.collect(DELETED);
      assert.ok(await bucket.isCondemned(first.manifest.key));
      assert.ok(!(await bucket.isCondemned(second.manifest.key)));
      assert.deepEqual(
        keysOf(outcome, 'remove', 'history').filter((key) => key.includes('/undo/')),
        [firstMove],
      );
      assert.ok(await bucket.has(secondMove));
    });

    it('keeps what a deleted tag named for the undo window, and then its history goes whole', async () => {
      const { manifest } = await bucket.image('undo/deleted', 'deleted', 'v');
      const moves = [await bucket.move('undo/deleted', 'v', manifest.digest)];
      bucket.pass(2 * bucket.undoMs);
      await bucket.storage.delete(layout.tag(parseRepositoryName('undo/deleted'), parseTag('v')));
      moves.push(await bucket.move('undo/deleted', 'v', 'deleted'));
      await bucket.collect(DELETED);
      assert.ok(!(await bucket.isCondemned(manifest.key)));
      bucket.pass(bucket.undoMs + bucket.slackMs);
      await bucket.collect(DELETED);
      assert.ok(await bucket.isCondemned(manifest.key));
      for (const key of moves) assert.ok(!(await bucket.has(key)), key);
    });

    it('adds the entry of a move or a deletion that its writer has not recorded', async () => {
      const { manifest } = await bucket.image('unrecorded/app', 'moved', 'v');
      const other = await bucket.image('unrecorded/app', 'gone', 'gone');
      await bucket.move('unrecorded/app', 'gone', other.manifest.digest);
      await bucket.storage.delete(layout.tag(parseRepositoryName('unrecorded/app'), parseTag('gone')));
      bucket.pass(bucket.times.lookMs + bucket.slackMs);
      const added = keysOf(await bucket.collect(), 'add', 'history').filter((key) => key.includes('/unrecorded/'));
      assert.deepEqual(
        added.map((key) => key.replace(/\d{13}/, 'time')),
        [
          `oci/repositories/unrecorded/app/history/v/time-sha256-${hexOf(manifest.digest)}`,
          'oci/repositories/unrecorded/app/history/gone/time-deleted',
        ],
      );
      assert.deepEqual(
        keysOf(await bucket.collect(), 'add').filter((key) => key.includes('/unrecorded/')),
        [],
      );
    });

    it('takes the tags of a folder that docker-registry 0.9 quoted twice for those of its repository', async () => {
      const { manifest } = await bucket.image('twice/quoted/app', 'twice');
      await bucket.put('repositories/twice/quoted%252Fapp/tag_v' as never, hexOf(manifest.digest));
      grace();
      await bucket.collectAll(DELETED, 2);
      assert.ok((await bucket.has(manifest.key)) && !(await bucket.isCondemned(manifest.key)));
    });

    it('leaves a repository alone in which a manifest cannot be read, and says so', async () => {
      const { link } = await bucket.blob('damaged/app', 'link');
      const digest = `sha256:${'0'.repeat(64)}` as Digest;
      const key = layout.manifest(parseRepositoryName('damaged/app'), digest);
      await bucket.put(key, 'no manifest');
      grace();
      const { report } = await bucket.collect(DELETED);
      assert.ok(!(await bucket.isCondemned(link)) && (await bucket.has(key)));
      assert.ok(report.problems.samples.some((sample) => sample.includes(key)));
      await bucket.storage.delete(key);
    });

    it('lets what usage runs have found go the grace period after the last tag and manifest of a repository', async () => {
      const usageOf = (name: string) => {
        const repository = parseRepositoryName(name);
        return [layout.usageSummary(repository), layout.sharedLayers(repository), layout.manifestEdges(repository)];
      };
      const names = ['usage/emptied', 'usage/tagged', 'usage/untagged'];
      const present = async (name: string) =>
        (await Promise.all(usageOf(name).map((key) => bucket.storage.head(key)))).filter((info) => info).length;
      for (const key of names.flatMap(usageOf)) await bucket.put(key, '{}');
      await bucket.image('usage/untagged', 'untagged');
      await bucket.tag('usage/tagged', 'v', digestOf(encodeText('elsewhere')));
      bucket.settle();
      await bucket.collect();
      assert.equal(await present('usage/emptied'), 3, 'young');
      grace();
      const { report } = await bucket.collect();
      assert.deepEqual(await Promise.all(names.map(present)), [0, 3, 3]);
      assert.equal(report.actions.remove?.usage?.count, 3);
    });

    it('leaves a key that the layout does not have, and reports it', async () => {
      const key = 'oci/repositories/unknown/app/things/1' as never;
      await bucket.put(key, 'x');
      grace();
      const { report } = await bucket.collect(DELETED);
      assert.ok(await bucket.has(key));
      assert.ok(report.unknown.samples.includes(key));
    });
  });
}
