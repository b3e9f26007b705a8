// Names and their parsers. Routes parse them once; modules below the routes use these types only.
import { RegistryError } from './errors.ts';
import { stripTrailingSlashes } from './strip-trailing-slashes.ts';

declare const brand: unique symbol;
type Brand<B extends string> = string & { readonly [brand]: B };

/** Always with a namespace: `library/centos`, `a/b/c`. v1 takes names that v2 does not: `library/Foo~`. */
export type RepositoryName = Brand<'RepositoryName'>;
/** By the OCI grammar a word character, then at most 127 of `[A-Za-z0-9_.-]`; v1 takes more: `1.0+b`. */
export type Tag = Brand<'Tag'>;
/** `sha256:` and 64, or `sha512:` and 128, lower-case hex digits. */
export type Digest = Brand<'Digest'>;
/** 64 lower-case hex digits, or 16, which docker-registry allowed. */
export type ImageId = Brand<'ImageId'>;

export type DigestAlgorithm = 'sha256' | 'sha512';

const HEX_LENGTH: Record<DigestAlgorithm, number> = { sha256: 64, sha512: 128 };

const COMPONENT = '[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*';
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
/** Control characters, and the backslash, which some servers and file systems treat as a slash. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it matches control characters
const IN_NO_KEY = /[\u0000-\u001f\u007f\\]/;
const DIGEST_FORM = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]+$/;
const HEX = /^[a-f0-9]+$/;
const IMAGE_ID = /^(?:[a-f0-9]{64}|[a-f0-9]{16})$/;

/** The longest file name that every file system allows. */
export const MAX_KEY_PART_BYTES = 255;
/** `tag<tag>_json` is a file name too. */
const MAX_TAG_BYTES = MAX_KEY_PART_BYTES - 'tag_json'.length;

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
  return withNamespace(input);
}

/**
 * Reads a repository name as docker-registry did, which had no rules for names: only names that no key can hold are invalid.
 * Final slashes are ignored.
 * @throws RegistryError NAME_INVALID
 */
export function parseV1RepositoryName(input: string): RepositoryName {
  const name = withNamespace(stripTrailingSlashes(input));
  const parts = [namespaceOf(name), repositoryPartOf(name)];
  if (
    parts.some(
      (part) => part === '' || part === '.' || part === '..' || IN_NO_KEY.test(part) || !part.isWellFormed(),
    ) ||
    // The key of `a/b%2Fc` is the one that docker-registry 0.9 used for `a/b/c`: two names, with access rules of their own, for one repository.
    isQuoted(repositoryPartOf(name))
  ) {
    throw new RegistryError('NAME_INVALID', `invalid repository name ${JSON.stringify(input.slice(0, 300))}`);
  }
  return name;
}

function withNamespace(input: string): RepositoryName {
  const name = (input.includes('/') ? input : `library/${input}`) as RepositoryName;
  // The longest part of a key with a name is that of `oci/images/<id>/repositories/<quoted name>`.
  if (quotePlus(name).length > MAX_KEY_PART_BYTES || Buffer.byteLength(name) > MAX_KEY_PART_BYTES) {
    const detail = { name: input.slice(0, 300) };
    throw new RegistryError('NAME_INVALID', `repository name ${JSON.stringify(detail.name)} is too long`, { detail });
  }
  return name;
}

/** Whether the name is valid in v2. */
export function isV2Name(name: RepositoryName): boolean {
  return name.length <= 255 && NAME.test(name);
}

export function namespaceOf(repository: RepositoryName): string {
  return repository.slice(0, repository.indexOf('/'));
}

/** The name without its namespace: `b/c` of `a/b/c`. */
export function repositoryPartOf(repository: RepositoryName): string {
  return repository.slice(repository.indexOf('/') + 1);
}

/** Python 2's `quote_plus`, which docker-registry applied to names in keys: `b/c~ d` is `b%2Fc%7E+d`. */
export function quotePlus(text: string): string {
  if (!text.isWellFormed()) return text; // an invalid name, which `parseV1RepositoryName` refuses
  return encodeURIComponent(text)
    .replace(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

/** The inverse; `undefined` if `quotePlus` would not have written this. */
export function unquotePlus(quoted: string): string | undefined {
  try {
    const text = decodeURIComponent(quoted.replaceAll('+', '%20'));
    return quotePlus(text) === quoted ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Whether this is the result of `quotePlus`, with an escaped character: `b%2Fc`. */
export function isQuoted(text: string): boolean {
  return /%[0-9A-F]{2}/.test(text) && unquotePlus(text) !== undefined;
}

/** @throws RegistryError TAG_INVALID */
export function parseTag(input: string): Tag {
  if (!isV2Tag(input)) throw invalidTag(input);
  return input as Tag;
}

/** Whether the tag is valid in v2. */
export function isV2Tag(tag: string): boolean {
  return TAG.test(tag);
}

/**
 * Reads a tag as docker-registry did, which allowed any text without a slash.
 * @throws RegistryError TAG_INVALID
 */
export function parseV1Tag(input: string): Tag {
  const isOnePart = input !== '' && !input.includes('/') && !IN_NO_KEY.test(input) && input.isWellFormed();
  if (!isOnePart || Buffer.byteLength(input) > MAX_TAG_BYTES) throw invalidTag(input);
  return input as Tag;
}

function invalidTag(input: string): RegistryError {
  const detail = { tag: input.slice(0, 200) };
  return new RegistryError('TAG_INVALID', `invalid tag ${JSON.stringify(detail.tag)}`, { detail });
}

/**
 * @throws RegistryError DIGEST_INVALID, also for another algorithm than sha256 and sha512
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
 */
export function parseDigest(input: string): Digest {
  const detail = { digest: input.slice(0, 200) };
  if (!DIGEST_FORM.test(input)) {
    throw new RegistryError('DIGEST_INVALID', `invalid digest ${JSON.stringify(detail.digest)}`, { detail });
  }
  const [name = '', hex = ''] = input.split(':');
  const algorithm = parseDigestAlgorithm(name);
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

/** Whether a digest that was taken from a key has the number of digits of its algorithm. */
export function isDigest(digest: Digest): boolean {
  return hexOf(digest).length === HEX_LENGTH[algorithmOf(digest)];
}

/** @throws RegistryError DIGEST_INVALID */
export function parseDigestAlgorithm(input: string): DigestAlgorithm {
  if (input === 'sha256' || input === 'sha512') return input;
  throw new RegistryError('DIGEST_INVALID', `the digest algorithm is ${JSON.stringify(input)}, not sha256 or sha512`, {
    detail: { algorithm: input.slice(0, 200) },
  });
}

/** What the URL of a manifest ends in. */
export type Reference = { digest: Digest } | { tag: Tag };

/**
 * Reads a reference: a digest if it contains a colon, else a tag.
 * @throws RegistryError DIGEST_INVALID, TAG_INVALID
 */
export function parseReference(input: string): Reference {
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

/** The digest with these hex digits; their number is that of the algorithm. */
export function digestOfHex(hex: string): Digest {
  return `${hex.length === HEX_LENGTH.sha512 ? 'sha512' : 'sha256'}:${hex}` as Digest;
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

/** The hex digits alone. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
