import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOfManifestKey, layout } from '../../../lib/model/layout.ts';
import { parseRepositoryName } from '../../../lib/model/names.ts';
import { readEdges } from '../../../lib/registry/collector/edges.ts';
import { ListedDigests } from '../../../lib/registry/inventory/listed-objects.ts';
import { decodeText, encodeText } from '../../../lib/streams/bytes.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { Bucket } from './bucket.ts';

const DELETED = { untaggedPolicy: () => ({ olderThanMs: 0 }) };
const NAME = 'edges/app';
const repository = parseRepositoryName(NAME);

async function listManifests({ storage }: Bucket): Promise<ListedDigests> {
  const listed = new ListedDigests((digest) => layout.manifest(repository, digest));
  for await (const info of storage.list(layout.manifests(repository))) {
    const digest = digestOfManifestKey(info.key);
    if (digest) listed.add(digest, info);
  }
  return listed;
}

describe('what manifests name, as a usage run leaves it for the collector', () => {
  it('keeps what is used where the run had an old listing, or read only some of the manifests', async () => {
    const bucket = await Bucket.inMemory();
    const first = await bucket.image(NAME, 'first', '1');
    const old = await listManifests(bucket);
    const child = await bucket.image(NAME, 'child');
    const index = await bucket.manifest(NAME, { children: [child.manifest.digest] });
    await bucket.tag(NAME, 'index', index.digest);
    const isUsed = async () => {
      for (const key of [first, child].flatMap(({ blob, manifest }) => [blob.link, manifest.key]))
        assert.ok((await bucket.has(key)) && !(await bucket.isCondemned(key)), key);
    };
    bucket.grace();
    for (const leave of [
      () => readEdges(bucket.storage, repository, old),
      async () => readEdges(bucket.storage, repository, await listManifests(bucket), { mayRead: () => false }),
    ]) {
      await bucket.storage.delete(layout.manifestEdges(repository));
      await leave();
      await bucket.collectAll(DELETED, 2);
      await isUsed();
      await leave();
      await bucket.collectAll(DELETED, 2);
      await isUsed();
    }
  });

  it('keeps a manifest that was removed and pushed again, where the run found it gone', async () => {
    const bucket = await Bucket.inMemory(new MemoryStorage({ honorsDeleteConditions: false }));
    await bucket.image(NAME, 'other', 'other');
    const { manifest } = await bucket.image(NAME, 'again');
    for (let run = 0; run < 2; run++) {
      bucket.grace();
      await bucket.collect(DELETED);
    }
    assert.ok(!(await bucket.has(manifest.key)));
    const old = await listManifests(bucket);
    assert.ok(old.has(manifest.digest), 'in its gone form');
    await readEdges(bucket.storage, repository, old);
    const { blob } = await bucket.image(NAME, 'again', 'again');
    const found = await readEdges(bucket.storage, repository, old);
    assert.equal(found.get(manifest.digest)?.state, 'gone', 'the old listing');
    bucket.grace();
    await bucket.collectAll(DELETED, 3);
    for (const key of [manifest.key, blob.link])
      assert.ok((await bucket.has(key)) && !(await bucket.isCondemned(key)), key);
  });

  const KEY = layout.manifestEdges(repository);

  async function bucketWithManifests(): Promise<Bucket> {
    const bucket = await Bucket.inMemory(new MemoryStorage({ honorsDeleteConditions: false }));
    const child = await bucket.image(NAME, 'child');
    const index = await bucket.manifest(NAME, { children: [child.manifest.digest] });
    await bucket.tag(NAME, 'index', index.digest);
    await bucket.image(NAME, 'gone');
    for (let run = 0; run < 2; run++) {
      bucket.grace();
      await bucket.collect(DELETED);
    }
    await bucket.manifest(NAME, { blobs: [child.blob.digest], subject: index.digest });
    await readEdges(bucket.storage, repository, await listManifests(bucket));
    return bucket;
  }

  /** What a reading finds, and the manifests that it reads for that. */
  async function readAgain(bucket: Bucket) {
    const storage = bucket.storage as MemoryStorage;
    const before = storage.log.length;
    const found = await readEdges(storage, repository, await listManifests(bucket));
    const manifests = [...found.indexes()].map((number) => {
      const { state, edges } = found.at(number) ?? {};
      return [found.digestAt(number), state, edges] as const;
    });
    const isReading = (request: string) => request.startsWith(`GET ${layout.manifests(repository)}`);
    return { manifests, reads: storage.log.slice(before).filter(isReading) };
  }

  it('are one JSON document with a line for each manifest, and are not read again', async () => {
    const bucket = await bucketWithManifests();
    const text = decodeText((await bucket.storage.read(KEY))?.bytes ?? new Uint8Array());
    const { version, edges, gone } = JSON.parse(text);
    assert.equal(version, 1);
    assert.deepEqual([Object.keys(edges).length, Object.keys(gone).length], [3, 1]);
    for (const digest of Object.keys({ ...edges, ...gone }))
      assert.equal(text.split('\n').filter((line) => line.startsWith(`"${digest}":`)).length, 1);
    const { manifests, reads } = await readAgain(bucket);
    assert.deepEqual(reads, []);
    assert.deepEqual(manifests.map(([, state]) => state).sort(), ['gone', 'live', 'live', 'live']);
    for (const [digest, , found] of manifests) assert.deepEqual(found, edges[digest]);
  });

  it('are understood on one line, as earlier versions wrote them', async () => {
    const bucket = await bucketWithManifests();
    const before = await readAgain(bucket);
    const document = JSON.parse(decodeText((await bucket.storage.read(KEY))?.bytes ?? new Uint8Array()));
    await bucket.storage.put(KEY, encodeText(JSON.stringify(document)));
    const { manifests, reads } = await readAgain(bucket);
    assert.deepEqual(reads, []);
    assert.deepEqual(manifests, before.manifests);
  });

  for (const [what, damage] of Object.entries({
    'a line cut off': (text: string) => text.slice(0, text.indexOf('\n"') + 100),
    'another version': (text: string) => text.replace('"version":1', '"version":2'),
    'no JSON': () => 'x'.repeat(100),
    nothing: () => '',
    'a digest that is none': (text: string) => text.replace(/"blobs":\["sha256:/g, '"blobs":["sha256:zz'),
  })) {
    it(`are read from the manifests again where the object is damaged: ${what}`, async () => {
      const bucket = await bucketWithManifests();
      const before = await readAgain(bucket);
      const text = decodeText((await bucket.storage.read(KEY))?.bytes ?? new Uint8Array());
      await bucket.storage.put(KEY, encodeText(damage(text)));
      const { manifests, reads } = await readAgain(bucket);
      assert.ok(reads.length > 0);
      assert.deepEqual(manifests, before.manifests);
      assert.deepEqual((await readAgain(bucket)).reads, []);
    });
  }
});
