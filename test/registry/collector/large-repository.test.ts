import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { type ImageId, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { decodeText, MiB } from '../../../lib/streams/bytes.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { Bucket, keysOf } from './bucket.ts';

const NAME = 'large/app';
const repository = parseRepositoryName(NAME);

/** More than are stored in one piece. */
const MANIFESTS = 7000;

/** More than the collector resolves at once. */
const TAGS = 10_003;

const idOf = (number: number) => hash('sha256', `image ${number}`) as ImageId;

describe('the collector in a repository of many tags', () => {
  it('reads the list of v1 images once, and only the tags that name nothing in it', async () => {
    const storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    await bucket.put(layout.indexImages(repository), JSON.stringify([{ id: idOf(0) }, { id: idOf(1) }]));
    for (let number = 0; number < TAGS; number++) {
      await bucket.put(layout.tag(repository, parseTag(`t${number}`)), idOf(number % 2));
    }
    const other = ['t5', 't10002', 't9999'].map((tag) => layout.tag(repository, parseTag(tag)));
    for (const key of other) await bucket.put(key, idOf(2));
    const { manifest } = await bucket.image(NAME, 'tagged', 'v2');
    bucket.grace();
    const before = storage.log.length;
    const { report } = await bucket.collect();
    const reads = storage.log
      .slice(before)
      .filter((request) => request.startsWith(`GET ${layout.repository(repository)}`));
    assert.deepEqual(reads.toSorted(), [...other, layout.indexImages(repository)].map((key) => `GET ${key}`).sort());
    assert.deepEqual(report.problems.samples, []);
    assert.equal(report.kept['manifest: a tag names it'], 1);
    assert.ok(await bucket.has(manifest.key));
  });

  it('keeps everything where one of many tags is damaged', async () => {
    const bucket = await Bucket.inMemory();
    for (let number = 0; number < TAGS; number++) {
      await bucket.put(layout.tag(repository, parseTag(`t${number}`)), number === TAGS - 2 ? 'damaged' : idOf(number));
    }
    const { manifest, blob } = await bucket.image(NAME, 'untagged');
    bucket.grace();
    const { report } = await bucket.collect({ untaggedPolicy: () => ({ olderThanMs: 0 }) });
    assert.equal(report.problems.count, 1);
    assert.equal(report.kept['manifest: a tag of the repository cannot be read'], 1);
    for (const key of [manifest.key, blob.link]) assert.equal(await bucket.isCondemned(key), false);
  });

  it('divides the history of each tag by itself, also where the name of one begins with that of another', async () => {
    const bucket = await Bucket.inMemory();
    const [first, second] = [await bucket.image(NAME, 'first'), await bucket.image(NAME, 'second')];
    const tags = ['a', 'a-b', 'a.b', 'a0', '_a'];
    const moves = new Map<string, string[]>();
    for (const { manifest } of [first, second]) {
      for (const tag of tags) {
        moves.set(tag, [...(moves.get(tag) ?? []), await bucket.move(NAME, tag, manifest.digest)]);
        await bucket.tag(NAME, tag, manifest.digest);
      }
    }
    bucket.pass(bucket.undoMs + bucket.slackMs);
    const outcome = await bucket.collect();
    const expired = [...moves.values()].map(([oldest]) => oldest);
    assert.deepEqual(keysOf(outcome, 'remove', 'history').sort(), expired.sort());
    assert.deepEqual(keysOf(outcome, 'add', 'history'), []);
  });

  it('reads each of many manifests once, whatever the size of what is kept of them', async () => {
    const storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    const { blob } = await bucket.image(NAME, 'base', 'base');
    await Promise.all(
      Array.from({ length: MANIFESTS }, (_, number) =>
        bucket.manifest(NAME, { blobs: [blob.digest], name: String(number) }),
      ),
    );
    bucket.grace();
    const key = layout.manifestEdges(repository);
    const requests = async () => {
      const before = storage.log.length;
      const { report } = await bucket.collect();
      assert.equal(report.kept['link: a manifest names it'], 1);
      assert.equal(report.kept['manifest: manifests without a tag are kept'], MANIFESTS);
      const made = storage.log.slice(before);
      return {
        reads: made.filter((request) => request.startsWith(`GET ${layout.manifests(repository)}`)).length,
        keptEdges: made.filter((request) => request.endsWith(` ${key}`)),
      };
    };
    assert.deepEqual(await requests(), { reads: MANIFESTS + 1, keptEdges: [`GET ${key}`, `PUT ${key}`] });
    const kept = (await storage.read(key))?.bytes ?? new Uint8Array();
    assert.ok(kept.length > MiB);
    assert.equal(Object.keys(JSON.parse(decodeText(kept)).edges).length, MANIFESTS + 1);
    assert.deepEqual(await requests(), { reads: 0, keptEdges: [`GET ${key}`] });
  });
});
