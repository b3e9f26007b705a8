import { type BlobRecord, type Key, layout, parseBlobRecord } from '../../model/layout.ts';
import { algorithmOf, type Digest, hexOf, isDigest } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { isCorruptMark } from '../condemned/corrupt-mark.ts';

/** Bytes with a digest: a copy, or data with a pointer. `sizeBytes` of data is what the pointer says. */
export type StoredBytes = {
  /** The key of the bytes, which links name. */
  key: Key;
  sizeBytes: number;
  uuid: string;
  /** Of the copy, or of the pointer. */
  record: ObjectInfo;
  kind: 'copy' | 'pointer';
  isMarked: boolean;
  /** Whether fsck has found them to be corrupt; they are marked. */
  isCorrupt: boolean;
};

/** All that `oci/blobs/` holds about a digest. */
export type DigestFolder = {
  name: string;
  digest: Digest;
  bytes: StoredBytes[];
  /** Marks whose copy or pointer is gone. */
  marksAlone: ObjectInfo[];
  /** Bytes at the key that layout 1 used. */
  plain?: ObjectInfo;
};

/** The name of a digest in a spill: in byte order it is the order of `oci/blobs/`. */
export function nameOfDigest(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`;
}

const PLAIN = /^oci\/blobs\/(sha256|sha512)\/([a-f0-9]+)$/;

/** The folders below `oci/blobs/`. @param onStray is called with an object that is none of their records */
export async function* digestFolders(
  storage: StorageDriver,
  onStray: (object: ObjectInfo) => Promise<void>,
): AsyncGenerator<DigestFolder> {
  let digest: Digest | undefined;
  let objects: { object: ObjectInfo; record: BlobRecord }[] = [];
  let plain: ObjectInfo | undefined;
  const folder = (): DigestFolder[] => (digest ? [folderOf(digest, objects, plain)] : []);
  for await (const object of storage.list(layout.blobs())) {
    const record = parseBlobRecord(object.key);
    const plainDigest = record ? undefined : plainDigestOf(object.key);
    const of = record?.digest ?? plainDigest;
    if (!of || !isDigest(of)) {
      await onStray(object);
      continue;
    }
    if (of !== digest) {
      yield* folder();
      digest = of;
      objects = [];
      plain = undefined;
    }
    if (record) objects.push({ object, record });
    else plain = object;
  }
  yield* folder();
}

/** The folder of one digest as it is now, without bytes of layout 1. One storage request. */
export async function digestFolderOf(storage: StorageDriver, digest: Digest): Promise<DigestFolder> {
  const objects: { object: ObjectInfo; record: BlobRecord }[] = [];
  for await (const object of storage.list(layout.blobFolder(digest))) {
    const record = parseBlobRecord(object.key);
    if (record) objects.push({ object, record });
  }
  return folderOf(digest, objects, undefined);
}

function plainDigestOf(key: Key): Digest | undefined {
  const [, algorithm, hex] = PLAIN.exec(key) ?? [];
  return algorithm === undefined ? undefined : (`${algorithm}:${hex}` as Digest);
}

function folderOf(
  digest: Digest,
  objects: readonly { object: ObjectInfo; record: BlobRecord }[],
  plain: ObjectInfo | undefined,
): DigestFolder {
  const marks = new Map(
    objects.flatMap(({ object, record }) => (record.kind === 'mark' ? [[record.uuid, object] as const] : [])),
  );
  const bytes = objects.flatMap(({ object, record }): StoredBytes[] => {
    if (record.kind === 'mark') return [];
    const { uuid } = record;
    const where =
      record.kind === 'copy'
        ? { key: object.key, sizeBytes: object.sizeBytes }
        : { key: layout.data(uuid), sizeBytes: record.sizeBytes };
    const mark = marks.get(uuid);
    const isCorrupt = mark !== undefined && isCorruptMark(mark);
    return [{ ...where, uuid, kind: record.kind, record: object, isMarked: mark !== undefined, isCorrupt }];
  });
  const stored = new Set(bytes.map(({ uuid }) => uuid));
  const marksAlone = [...marks].flatMap(([uuid, mark]) => (stored.has(uuid) ? [] : [mark]));
  return { name: nameOfDigest(digest), digest, bytes, marksAlone, ...(plain && { plain }) };
}
