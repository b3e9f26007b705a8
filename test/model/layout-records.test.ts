import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Key, layout, parseBlobRecord, parseRepositoryRecord } from '../../lib/model/layout.ts';
import { type Digest, parseRepositoryName, type Tag } from '../../lib/model/names.ts';

const uuid = crypto.randomUUID();
const sha256 = `sha256:${'a'.repeat(64)}` as Digest;
const sha512 = `sha512:${'b'.repeat(128)}` as Digest;
const repository = parseRepositoryName('team/deep/app');
const tag = '1.0-rc_1' as Tag;

describe('keys below oci/blobs/', () => {
  it('are parsed to what they were made of', () => {
    for (const digest of [sha256, sha512]) {
      assert.deepEqual(parseBlobRecord(layout.blobCopy(digest, uuid)), { kind: 'copy', digest, uuid });
      assert.deepEqual(parseBlobRecord(layout.blobMark(digest, uuid)), { kind: 'mark', digest, uuid });
      const pointer = layout.blobPointer(digest, uuid, 12);
      assert.deepEqual(parseBlobRecord(pointer), { kind: 'pointer', digest, uuid, sizeBytes: 12 });
    }
  });

  it('of the first layout, and others, are not parsed', () => {
    for (const key of [`oci/blobs/sha256/${'a'.repeat(64)}`, `oci/blobs/sha256/${'a'.repeat(64)}/other-${uuid}`])
      assert.equal(parseBlobRecord(key as Key), undefined);
  });

  it('list the marks of a digest before its bytes and pointers', () => {
    const keys = [layout.blobPointer(sha256, uuid, 1), layout.blobCopy(sha256, uuid), layout.blobMark(sha256, uuid)];
    assert.deepEqual(keys.toSorted(), [
      layout.blobCopy(sha256, uuid).replace('copy', 'condemned'),
      layout.blobCopy(sha256, uuid),
      layout.blobPointer(sha256, uuid, 1),
    ]);
  });
});

describe('keys below oci/repositories/', () => {
  it('are parsed to what they were made of', () => {
    for (const digest of [sha256, sha512]) {
      const move = { tag, atMs: 1_795_000_000_000, target: digest.replace(':', '-') };
      const cases: [Key, object][] = [
        [layout.manifest(repository, digest), { kind: 'manifest', digest }],
        [layout.blobLink(repository, digest), { kind: 'link', digest }],
        [layout.referrer(repository, sha256, digest), { kind: 'referrer', subject: sha256, digest }],
        [layout.lastPulled(repository, digest), { kind: 'pull', digest }],
        [layout.facts(repository, digest, '1.image'), { kind: 'facts', digest, name: '1.image' }],
        [layout.historyEntry(repository, move), { kind: 'history', move }],
        [layout.usageSummary(repository), { kind: 'summary' }],
        [layout.sharedLayers(repository), { kind: 'shared layers' }],
      ];
      for (const [key, record] of cases) assert.deepEqual(parseRepositoryRecord(key), { repository, ...record });
    }
  });

  it('that this layout does not have are not parsed', () => {
    const folder = layout.ociRepository(repository);
    for (const name of [
      'condemned.json',
      'manifests/md5/aa',
      'history/1.0/x',
      'facts/sha256-aa',
      'summary.json/x',
      'x',
    ])
      assert.equal(parseRepositoryRecord(`${folder}${name}` as Key), undefined, name);
  });

  it('list the moves of a tag newest first', () => {
    const keys = [1, 9, 1_795_000_000_000, 1_795_000_000_001].map((atMs) =>
      layout.historyEntry(repository, { tag, atMs, target: 'deleted' }),
    );
    assert.deepEqual(keys.toSorted(), keys.toReversed());
  });
});
