import { type Key, layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { AS_JSON, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { readUnlessGone } from '../condemned/gone.ts';
import type { Look } from '../condemned/look.ts';
import { type BlobLink, decodeBlobLink, encodeBlobLink } from './link.ts';

/** A stored link, live or condemned. `etag` is that of the object. */
export type ReadLink = { link: BlobLink; etag: ETag; isCondemned: boolean };

/** One storage request. @throws Error if storage is damaged */
export async function readLink(storage: StorageDriver, key: Key): Promise<ReadLink | undefined> {
  const object = await readUnlessGone(storage, key);
  if (!object) return undefined;
  const { condemned, ...link } = decodeBlobLink(object.bytes, key);
  return { link, etag: object.info.etag, isCondemned: condemned !== undefined };
}

/**
 * What a writer calls before it relies on a link: a condemned one is live afterwards. One storage request, and one more if it is
 * condemned.
 * @param options.first the link as the caller has read it, after the look began
 * @throws StorageUnavailableError if the look has expired
 */
export async function lookAtLink(
  storage: StorageDriver,
  { repository, digest }: { repository: RepositoryName; digest: Digest },
  { look, first }: { look: Look; first?: ReadLink },
): Promise<BlobLink | undefined> {
  const key = layout.blobLink(repository, digest);
  const { link } = await compareAndSwap(key, {
    read: () => readLink(storage, key),
    write: async (before) => {
      if (!before?.isCondemned) return { link: before?.link };
      const options = { ...AS_JSON, look, ifMatch: before.etag };
      return (await storage.put(key, encodeBlobLink(before.link), options)) && before;
    },
    ...(first && { first: { before: first } }),
  });
  return link;
}
