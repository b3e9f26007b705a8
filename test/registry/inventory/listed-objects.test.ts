import { deepEqual, equal, throws } from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Key, type KeyPrefix, layout } from '../../../lib/model/layout.ts';
import { type Digest, parseRepositoryName } from '../../../lib/model/names.ts';
import { ByteRecords } from '../../../lib/registry/inventory/byte-records.ts';
import { ListedDigests, ListedObjects } from '../../../lib/registry/inventory/listed-objects.ts';
import type { ETag, ObjectInfo } from '../../../lib/storage/driver.ts';

/** More than one chunk of rows holds. */
const COUNT = 9000;
const FOLDER = 'repositories/team/app/' as KeyPrefix;
const repository = parseRepositoryName('team/app');

const numbers = Array.from({ length: COUNT }, (_, number) => number);

/** Every third ETag is no MD5, as those of files. */
function infoOf(key: Key, number: number): ObjectInfo {
  const etag = number % 3 === 0 ? `"${number}-files"` : `"${hash('md5', key)}"`;
  return { key, etag: etag as ETag, sizeBytes: 2 ** (number % 50), lastModified: new Date(1_700_000_000_123 + number) };
}

function plain({ key, etag, sizeBytes, lastModified }: ObjectInfo): ObjectInfo {
  return { key, etag, sizeBytes, lastModified };
}

describe('what a listing tells, packed', () => {
  it('gives records of bytes of any length as they were added', () => {
    const records = new ByteRecords();
    const lengths = [0, 1, 5000, 1024 * 1024 - 4, 1024 * 1024, 3 * 1024 * 1024, 7, 0];
    const added = [...lengths, ...numbers].map((length, at) => Buffer.alloc(length, at));
    for (const [at, record] of added.entries()) equal(records.add(record), at);
    equal(records.count, added.length);
    for (const [at, record] of added.entries()) equal(Buffer.compare(records.at(at), record), 0, `record ${at}`);
    throws(() => records.at(added.length), RangeError);
  });

  it('gives objects by number and by key as they were listed', () => {
    const keys = numbers.map(
      (number) => `${FOLDER}tag_${String(number).padStart(5, '0')}${'é'.repeat(number % 3)}` as Key,
    );
    const infos = keys.map(infoOf);
    const listed = new ListedObjects(FOLDER);
    for (const info of infos) listed.add(info);
    equal(listed.size, COUNT);
    deepEqual([...listed].map(plain), infos);
    for (const [at, key] of keys.entries()) equal(listed.indexOf(key), at);
    for (const absent of ['tag_', 'tag_000005', 'tag_99999', 'z'])
      equal(listed.indexOf(`${FOLDER}${absent}` as Key), -1);
    equal(listed.find('repositories/team/apq/tag_00001' as Key), undefined);
    throws(() => listed.add(infoOf('repositories/team/other/tag_a' as Key, 1)), /is not below/);
  });

  it('gives objects by their digests, those of SHA-512 after those of SHA-256', () => {
    const digests = (['sha256', 'sha512'] as const).flatMap((algorithm) =>
      numbers.map((number) => `${algorithm}:${hash(algorithm, String(number))}` as Digest).sort(),
    );
    const listed = new ListedDigests((digest) => layout.blobLink(repository, digest));
    const infos = digests.map((digest, number) => infoOf(layout.blobLink(repository, digest), number));
    for (const [at, digest] of digests.entries()) listed.add(digest, infos[at] ?? infoOf('' as Key, 0));
    equal(listed.size, 2 * COUNT);
    deepEqual([...listed.digests()], digests);
    for (const [at, digest] of digests.entries()) {
      equal(listed.indexOf(digest), at);
      equal(listed.digestAt(at), digest);
      deepEqual(plain(listed.infoAt(at)), infos[at]);
    }
    equal(listed.has(`sha256:${hash('sha256', 'absent')}` as Digest), false);
    const changed = infoOf(layout.blobLink(repository, digests[5] as Digest), 4);
    listed.update(5, changed);
    deepEqual(plain(listed.infoAt(5)), changed);
    deepEqual(plain(listed.infoAt(6)), infos[6]);
  });
});
