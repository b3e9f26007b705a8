import { type Digest, hexOf, type ImageId, isImageId, sha256Digest, type Tag } from '../../model/names.ts';
import type { ETag } from '../../storage/driver.ts';

/**
 * What a tag names. 64 hex digits may be the SHA-256 of a manifest or a v1 image id, and a manifest takes precedence. A SHA-512
 * digest has no `imageId`.
 */
export type TagTarget = { digest: Digest; imageId?: ImageId };

/**
 * A tag with its target. `etag` guards a conditional move or deletion. Where `isRead` is false, the target was derived from the
 * ETag of a listing. That is enough to list tags; before a deletion or a refusal depends on it, `Tags.confirm` reads the tag.
 */
export type ResolvedTag = { tag: Tag; target: TagTarget; etag: ETag; lastModified: Date; isRead: boolean };

const SHA512_TARGET = /^sha512:[a-f0-9]{128}$/;

/** The content of a tag's object for a manifest. */
export function encodeTarget(digest: Digest): string {
  return digest.startsWith('sha512:') ? digest : hexOf(digest);
}

/** The inverse of `encodeTarget`, also for image ids; `undefined` for any other content. */
export function decodeTarget(text: string): TagTarget | undefined {
  if (isImageId(text)) return { digest: sha256Digest(text), imageId: text };
  return SHA512_TARGET.test(text) ? { digest: text as Digest } : undefined;
}
