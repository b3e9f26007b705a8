import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOfManifestKey, layout } from '../../../lib/model/layout.ts';
import { parseRepositoryName } from '../../../lib/model/names.ts';
import { readEdges } from '../../../lib/registry/collector/edges.ts';
import { ListedDigests } from '../../../lib/registry/inventory/listed-objects.ts';
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
});
