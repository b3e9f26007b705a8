import { type Digest, hexOf, type ImageId, isImageId, parseDigest, sha256Digest, type Tag } from '../../model/names.ts';
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

/** Of the image ids that docker-registry allowed beside those of 64 digits. */
const SHORT_ID_LENGTH = 16;

const SHA512_TARGET = /^sha512:[a-f0-9]{128}$/;

export function targetOf(digest: Digest): TagTarget {
  const hex = hexOf(digest);
  return isImageId(hex) ? { digest, imageId: hex } : { digest };
}

/** The content of a tag's object for a manifest. */
export function encodeTarget(digest: Digest): string {
  return digest.startsWith('sha512:') ? digest : hexOf(digest);
}

/** How the key of a move says what the tag names from then on: `sha256-<hex>`, `image-<16 digits>`, or `deleted`. */
export function encodeMoveTarget(target: TagTarget | undefined): string {
  if (!target) return 'deleted';
  const { digest, imageId } = target;
  return imageId?.length === SHORT_ID_LENGTH ? `image-${imageId}` : digest.replace(':', '-');
}

/** The inverse; `undefined` for a deletion, and for any other text. */
export function decodeMoveTarget(text: string): TagTarget | undefined {
  const [algorithm, hex = ''] = text.split('-');
  return decodeTarget(algorithm === 'sha512' ? `sha512:${hex}` : hex);
}

/** A target as people read it: a digest, or `image:<16 digits>`. */
export function showTarget(target: TagTarget): string {
  return encodeMoveTarget(target).replace('-', ':');
}

/** The inverse of `showTarget`. @throws RegistryError DIGEST_INVALID */
export function parseShownTarget(text: string): Digest {
  return (text.startsWith('image:') && decodeMoveTarget(text.replace(':', '-'))?.digest) || parseDigest(text);
}

/** The inverse of `encodeTarget`, also for image ids; `undefined` for any other content. */
export function decodeTarget(text: string): TagTarget | undefined {
  if (isImageId(text)) return targetOf(sha256Digest(text));
  return SHA512_TARGET.test(text) ? { digest: text as Digest } : undefined;
}
