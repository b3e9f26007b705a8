import { type Key, layout, parseBlobRecord } from '../../model/layout.ts';
import type { Digest } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { inOrder } from '../inventory/in-order.ts';

/** Bytes of a digest, and the key that links name. */
export type Copy = {
  uuid: string;
  bytesKey: Key;
  sizeBytes: number;
  /** When the copy, or the pointer to it, was written. */
  lastModified: Date;
  /** Of `oci/data/`: the pointer to it. */
  pointer?: Key;
  /** When it was marked; absent without a mark. */
  markedAt?: Date;
};

/** All that is stored of a digest. */
export type ListedBlob = {
  digest: Digest;
  copies: Copy[];
  /** Marks of copies that are gone. */
  emptyMarks: Key[];
  objectCount: number;
};

/**
 * Lists the bytes of all digests, a digest at a time. One storage request per 1,000 objects.
 * @param options.within lists only this digest
 * @param options.after digests up to this one are left out
 * @param options.onUnknown called with each key that the layout does not have
 */
export async function* listBlobs(
  storage: StorageDriver,
  { within, after, onUnknown }: { within?: Digest; after?: Digest | undefined; onUnknown: (key: Key) => void },
): AsyncGenerator<ListedBlob> {
  const prefix = within === undefined ? layout.blobs() : layout.blobFolder(within);
  const options = after === undefined ? {} : { after: layout.afterFolder(layout.blobFolder(after)) };
  let blob: (ListedBlob & { marks: Map<string, { key: Key; at: Date }> }) | undefined;
  for await (const { key, sizeBytes, lastModified } of inOrder(storage.list(prefix, options))) {
    const record = parseBlobRecord(key);
    if (!record) {
      onUnknown(key);
      continue;
    }
    const { digest, uuid } = record;
    if (blob?.digest !== digest) {
      if (blob) yield completed(blob);
      blob = { digest, copies: [], emptyMarks: [], objectCount: 0, marks: new Map() };
    }
    blob.objectCount++;
    // Marks come first in byte order.
    const markedAt = blob.marks.get(uuid)?.at;
    if (record.kind === 'mark') blob.marks.set(uuid, { key, at: lastModified });
    else {
      const bytes =
        record.kind === 'copy'
          ? { bytesKey: key, sizeBytes }
          : { bytesKey: layout.data(uuid), sizeBytes: record.sizeBytes, pointer: key };
      blob.copies.push({ uuid, lastModified, ...bytes, ...(markedAt && { markedAt }) });
    }
  }
  if (blob) yield completed(blob);
}

function completed({ marks, ...blob }: ListedBlob & { marks: Map<string, { key: Key }> }): ListedBlob {
  for (const { uuid } of blob.copies) marks.delete(uuid);
  return { ...blob, emptyMarks: [...marks.values()].map(({ key }) => key) };
}
