// The strings that name things. They are parsed once, at the edge; below the routes only these types are used.
import { RegistryError } from './errors.ts';

declare const brand: unique symbol;
type Brand<B extends string> = string & { readonly [brand]: B };

/** As the bucket spells it, always with a namespace: `library/centos`, `a/b/c`. */
export type RepositoryName = Brand<'RepositoryName'>;
/** A tag by the OCI grammar: a word character, then at most 127 of `[A-Za-z0-9_.-]`. */
export type Tag = Brand<'Tag'>;
/** `sha256:` and 64, or `sha512:` and 128, lower-case hex digits. */
export type Digest = Brand<'Digest'>;
/** What v1 calls an image: 64 lower-case hex digits (docker-registry took 16 as well). */
export type ImageId = Brand<'ImageId'>;

export type DigestAlgorithm = 'sha256' | 'sha512';

const HEX_LENGTH: Record<DigestAlgorithm, number> = { sha256: 64, sha512: 128 };

const COMPONENT = '[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*';
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const DIGEST_FORM = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]+$/;
const HEX = /^[a-f0-9]+$/;
const IMAGE_ID = /^(?:[a-f0-9]{64}|[a-f0-9]{16})$/;

/** The longest key part that every file system takes. */
const MAX_KEY_PART_BYTES = 255;

/**
 * Reads a repository name; one component means the namespace `library`.
 * @throws RegistryError NAME_INVALID
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export function parseRepositoryName(input: string): RepositoryName {
  if (input.length > 255 || !NAME.test(input)) {
    throw new RegistryError('NAME_INVALID', `invalid repository name ${JSON.stringify(input.slice(0, 300))}`, {
      detail: { name: input.slice(0, 300) },
    });
  }
  const name = input.includes('/') ? input : `library/${input}`;
  if (quotedRepositoryPart(name).length > MAX_KEY_PART_BYTES) {
    throw new RegistryError('NAME_INVALID', `repository name ${JSON.stringify(input)} is too long`, {
      detail: { name: input },
    });
  }
  return name as RepositoryName;
}

/** What follows the namespace, as a key spells it: `b%2Fc` of `a/b/c`. */
export function quotedRepositoryPart(name: string): string {
  return name.slice(name.indexOf('/') + 1).replaceAll('/', '%2F');
}

/** @throws RegistryError TAG_INVALID */
export function parseTag(input: string): Tag {
  if (!TAG.test(input)) {
    throw new RegistryError('TAG_INVALID', `invalid tag ${JSON.stringify(input.slice(0, 200))}`, {
      detail: { tag: input.slice(0, 200) },
    });
  }
  return input as Tag;
}

/**
 * @throws RegistryError DIGEST_INVALID, also for an algorithm that this registry does not know
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
 */
export function parseDigest(input: string): Digest {
  const detail = { digest: input.slice(0, 200) };
  if (!DIGEST_FORM.test(input)) {
    throw new RegistryError('DIGEST_INVALID', `invalid digest ${JSON.stringify(detail.digest)}`, { detail });
  }
  const [algorithm = '', hex = ''] = input.split(':');
  if (algorithm !== 'sha256' && algorithm !== 'sha512') {
    throw new RegistryError('DIGEST_INVALID', `digest algorithm ${algorithm} is not one of sha256, sha512`, { detail });
  }
  if (hex.length !== HEX_LENGTH[algorithm] || !HEX.test(hex)) {
    throw new RegistryError(
      'DIGEST_INVALID',
      `a ${algorithm} digest has ${HEX_LENGTH[algorithm]} lower-case hex digits`,
      {
        detail,
      },
    );
  }
  return input as Digest;
}

/** A reference in a manifest URL: a digest if it holds a colon, else a tag. */
export function parseReference(input: string): { digest: Digest } | { tag: Tag } {
  return input.includes(':') ? { digest: parseDigest(input) } : { tag: parseTag(input) };
}

/** @throws RegistryError IMAGE_ID_INVALID */
export function parseImageId(input: string): ImageId {
  if (!isImageId(input)) throw new RegistryError('IMAGE_ID_INVALID', 'Invalid image ID');
  return input;
}

export function isImageId(input: unknown): input is ImageId {
  return typeof input === 'string' && IMAGE_ID.test(input);
}

/** The digest of which `hex` is the SHA-256. */
export function sha256Digest(hex: string): Digest {
  return `sha256:${hex}` as Digest;
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hex digits alone. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
