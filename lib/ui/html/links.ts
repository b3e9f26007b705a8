// Paths of pages. A repository's page is `/ui/r/team/api`, an image's `/ui/r/team/api:1.0` or `/ui/r/team/api@sha256:…`.
import { tryDecodeURIComponent } from 'hono/utils/url';
import {
  type Digest,
  parseDigest,
  parseV1RepositoryName,
  parseV1Tag,
  type RepositoryName,
  type Tag,
} from '../../model/names.ts';

/** The path of one page with a query. */
export type PathOf = (query: Record<string, string>) => string;

export type Place = { repository: RepositoryName; tag?: Tag; digest?: Digest };

const PREFIX = '/ui/r/';

export function repositoryPath(repository: RepositoryName, query: Record<string, string> = {}): string {
  return `${PREFIX}${encodePath(repository)}${queryText(query)}`;
}

export function tagPath(repository: RepositoryName, tag: Tag, query: Record<string, string> = {}): string {
  return `${PREFIX}${encodePath(repository)}:${encodeURIComponent(tag)}${queryText(query)}`;
}

export function digestPath(repository: RepositoryName, digest: Digest, query: Record<string, string> = {}): string {
  return `${PREFIX}${encodePath(repository)}@${digest}${queryText(query)}`;
}

/**
 * The inverse of the three above. Old buckets have names and tags with `:` and `@`, which are percent-encoded in paths.
 * @param path not decoded
 * @throws RegistryError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function placeOf(path: string): Place {
  const text = path.slice(PREFIX.length);
  const separator = /[:@]/.exec(text);
  const repository = parseV1RepositoryName(tryDecodeURIComponent(separator ? text.slice(0, separator.index) : text));
  if (!separator) return { repository };
  const reference = tryDecodeURIComponent(text.slice(separator.index + 1));
  return separator[0] === '@'
    ? { repository, digest: parseDigest(reference) }
    : { repository, tag: parseV1Tag(reference) };
}

/** The repositories of a namespace. */
export function namespacePath(namespace: string): string {
  return `/ui/${queryText({ namespace })}`;
}

/** @param digest as the user typed it */
export function digestSearchPath(digest: string, query: Record<string, string> = {}): string {
  return `/ui/digest${queryText({ digest, ...query })}`;
}

export function queryText(query: Record<string, string>): string {
  const given = Object.entries(query).filter(([, value]) => value !== '');
  return given.length > 0 ? `?${new URLSearchParams(given)}` : '';
}

function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}
