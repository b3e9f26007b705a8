// The mark on bytes that fsck has found to be corrupt. It counts as a mark for the collector, and nothing copies the bytes.
import { encodeText } from '../../streams/bytes.ts';

/** The content of the mark. Marks that the collector writes are empty, so that a listing tells the two apart by their size. */
export const CORRUPT_MARK = encodeText('corrupt');

/** @param mark an object of `layout.blobMark` as it was listed */
export function isCorruptMark({ sizeBytes }: { sizeBytes: number }): boolean {
  return sizeBytes > 0;
}
