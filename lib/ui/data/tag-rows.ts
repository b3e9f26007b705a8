import { matcherOf } from '../../model/name-pattern.ts';
import { type Digest, hexOf, type Tag } from '../../model/names.ts';
import type { ManifestFacts } from '../../registry/manifests/facts.ts';
import { compareNaturally } from './natural-order.ts';
import type { ListedTag, RepositoryListing } from './repository-listings.ts';

export const TAG_ORDERS = ['version', 'pushed', 'size'] as const;
export type TagOrder = (typeof TAG_ORDERS)[number];

/** The tags of one digest. The first one is that by which the row is ordered. */
export type TagRow = { tags: Tag[]; digest: Digest; pushedAt: Date; facts?: ManifestFacts };

export type Page<T> = { items: T[]; from: number; total: number };

/** Tags by which cosign and others attach an artifact to a digest: `sha256-<hex>.sig`. They belong to the row of that digest. */
const ATTACHED = /^(sha256|sha512)-([a-f0-9]{64,128})(?:\.(sig|att|sbom))?$/;

/**
 * The rows of a page of tags. No storage request.
 * @param options.filter a part of the tag, or with `*` a pattern for all of it
 * @param options.from number of rows before the page
 */
export function tagRows(
  { tags, facts }: RepositoryListing,
  { order, filter, from, size }: { order: TagOrder; filter: string; from: number; size: number },
): Page<TagRow> {
  const matches = filter.includes('*') ? matcherOf(filter) : (tag: string) => tag.includes(filter);
  const rows = new Map<Digest, { listed: ListedTag[]; isWanted: boolean }>();
  const attached: ListedTag[] = [];
  const digests = new Set<Digest>(tags.map(({ digest }) => digest));
  for (const listed of tags) {
    if (isAttached(listed.tag, digests)) attached.push(listed);
    else {
      const row = rows.get(listed.digest) ?? { listed: [], isWanted: false };
      row.listed.push(listed);
      row.isWanted ||= matches(listed.tag);
      rows.set(listed.digest, row);
    }
  }
  const wanted = [...rows].filter(([, { isWanted }]) => isWanted);
  const sorted = wanted.map(([digest, { listed }]) => rowOf(digest, listed, facts.get(digest))).sort(ORDERS[order]);
  return { items: sorted.slice(from, from + size), from, total: sorted.length };
}

function rowOf(digest: Digest, listed: readonly ListedTag[], facts: ManifestFacts | undefined): TagRow {
  const sorted = listed.toSorted((a, b) => compareNaturally(b.tag, a.tag));
  // `latest` and the like say less than a version.
  const names = sorted.map(({ tag }) => tag);
  const tags = [...names.filter(hasDigit), ...names.filter((tag) => !hasDigit(tag))];
  const pushedAt = new Date(Math.max(...listed.map(({ pushedAt: at }) => at.getTime())));
  return { tags, digest, pushedAt, ...(facts && { facts }) };
}

const hasDigit = (tag: string): boolean => /\d/.test(tag);

/** Newest first, and names without a number at the end. */
function byVersion(left: TagRow, right: TagRow): number {
  const [a, b] = [String(left.tags[0]), String(right.tags[0])];
  return Number(hasDigit(b)) - Number(hasDigit(a)) || compareNaturally(b, a);
}

const ORDERS: Record<TagOrder, (a: TagRow, b: TagRow) => number> = {
  version: byVersion,
  pushed: (a, b) => b.pushedAt.getTime() - a.pushedAt.getTime() || byVersion(a, b),
  size: (a, b) => (b.facts?.totalBytes ?? -1) - (a.facts?.totalBytes ?? -1) || byVersion(a, b),
};

/** Whether the tag attaches an artifact to a digest that has a tag of its own. */
function isAttached(tag: Tag, digests: ReadonlySet<Digest>): boolean {
  const [, algorithm, hex] = ATTACHED.exec(tag) ?? [];
  return algorithm !== undefined && digests.has(`${algorithm}:${hex}` as Digest);
}

const knownNames = new WeakMap<readonly ListedTag[], ReadonlySet<string>>();

/** The names of listed tags: one set for all rows of a page. */
function namesOf(tags: readonly ListedTag[]): ReadonlySet<string> {
  const known = knownNames.get(tags);
  if (known) return known;
  const names = new Set<string>(tags.map(({ tag }) => tag));
  knownNames.set(tags, names);
  return names;
}

/** The kinds of artifacts that tags attach to a digest. */
export function attachedKinds({ tags }: RepositoryListing, digest: Digest): ('signature' | 'attestation' | 'sbom')[] {
  const start = `${digest.slice(0, digest.indexOf(':'))}-${hexOf(digest)}`;
  const names = namesOf(tags);
  const kinds = [
    ['sig', 'signature'],
    ['att', 'attestation'],
    ['sbom', 'sbom'],
  ] as const;
  return kinds.flatMap(([end, kind]) => (names.has(`${start}.${end}`) ? [kind] : []));
}

/** Manifests without a tag, newest first as far as their facts tell. */
export function untaggedRows({ tags, facts }: RepositoryListing): { digest: Digest; facts: ManifestFacts }[] {
  const tagged = new Set(tags.map(({ digest }) => digest));
  const rows = [...facts].flatMap(([digest, known]) => (tagged.has(digest) ? [] : [{ digest, facts: known }]));
  const timeOf = (row: { facts: ManifestFacts }) => row.facts.createdAt?.getTime() ?? 0;
  return rows.sort((a, b) => timeOf(b) - timeOf(a) || (a.digest < b.digest ? -1 : 1));
}
