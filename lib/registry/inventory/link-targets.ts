// Which bytes the links of a digest name. A link is a small object, and on S3 its ETag is the MD5 of its content, so the ETags of
// the links to the bytes that there are tell it without a read.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { ETag, StorageDriver } from '../../storage/driver.ts';
import { type BlobLink, CONDEMNED_LINK_BYTES, decodeBlobLink, encodeBlobLink } from '../blobs/link.ts';
import { isGone } from '../condemned/gone.ts';
import type { DigestFolder } from './digest-folders.ts';

/** A link as it was listed. */
export type ListedLink = { repository: RepositoryName; etag: ETag; sizeBytes: number };

/** `target` is absent if the object is no link. */
export type ResolvedLink = { repository: RepositoryName; etag: ETag; target?: BlobLink; isCondemned: boolean };

/**
 * What the links name. One storage request for each that the ETags of `folder` do not tell, side by side; links that are deleted
 * by now are left out.
 */
export async function resolveLinks(
  storage: StorageDriver,
  digest: Digest,
  folder: DigestFolder | undefined,
  links: readonly ListedLink[],
): Promise<ResolvedLink[]> {
  const candidates = [...(folder?.bytes ?? []), ...(folder?.plain ? [folder.plain] : [])].map(({ sizeBytes, key }) => ({
    sizeBytes,
    key,
  }));
  const byETag = new Map(
    candidates.flatMap((target): [ETag, BlobLink][] => {
      const etag = storage.etagOf(encodeBlobLink(target));
      return etag === undefined ? [] : [[etag, target]];
    }),
  );
  const resolved = await mapConcurrently(links, async ({ repository, etag, sizeBytes }) => {
    const target = sizeBytes < CONDEMNED_LINK_BYTES ? byETag.get(etag) : undefined;
    if (target) return [{ repository, etag, target, isCondemned: false }];
    const link = await readLink(storage, repository, digest);
    return link ? [link] : [];
  });
  return resolved.flat();
}

/** A link as it is now. One storage request. `undefined` if there is none. */
export async function readLink(
  storage: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
): Promise<ResolvedLink | undefined> {
  const key = layout.blobLink(repository, digest);
  const object = await storage.read(key);
  if (!object || isGone(object.bytes)) return undefined;
  const { etag } = object.info;
  try {
    const { condemned, ...target } = decodeBlobLink(object.bytes, key);
    return { repository, etag, target, isCondemned: condemned !== undefined };
  } catch {
    return { repository, etag, isCondemned: false };
  }
}
