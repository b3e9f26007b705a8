// What is kept in a repository without anything else naming it: what its tags name now, and what they have named within the undo
// window.
import { type TagMove, tagOf } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName, Tag } from '../../model/names.ts';
import type { ETag, ObjectInfo } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { TagResolver } from '../tags/resolve-tags.ts';
import { decodeMoveTarget, encodeTarget, type ResolvedTag, targetOf } from '../tags/target.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

/** An entry of a tag's history, as the listing shows it. */
export type HistoryEntry = { info: ObjectInfo; move: TagMove };

export type Roots = {
  tagged: Set<Digest>;
  /** What tags have named within the undo window. */
  recent: Set<Digest>;
  /** The v1 images that tags name or have named; each may be the digits of a manifest too. */
  images: Set<ImageId>;
};

/** The reason why a manifest is kept, if it is a root. */
export function rootReason({ tagged, recent }: Roots, digest: Digest): string | undefined {
  if (tagged.has(digest)) return 'a tag names it';
  return recent.has(digest) ? 'the history of a tag names it' : undefined;
}

export function findRoots(resolved: readonly ResolvedTag[], recent: readonly HistoryEntry[]): Roots {
  const roots: Roots = { tagged: new Set(), recent: new Set(), images: new Set() };
  for (const { target } of resolved) {
    roots.tagged.add(target.digest);
    if (target.imageId) roots.images.add(target.imageId);
  }
  for (const { move } of recent) {
    const target = decodeMoveTarget(move.target);
    if (target) roots.recent.add(target.digest);
    if (target?.imageId) roots.images.add(target.imageId);
  }
  return roots;
}

/**
 * Resolves the tags of a repository. Where the ETag of an object is the MD5 of its bytes, a tag that names a manifest of the
 * repository is recognized by the listing, and only the others are read. A wrong match only keeps.
 */
export async function resolveTags(
  run: CollectorRun,
  resolver: TagResolver,
  {
    repository,
    objects,
    manifests,
  }: { repository: RepositoryName; objects: readonly ObjectInfo[]; manifests: Iterable<Digest> },
): Promise<ResolvedTag[]> {
  const digests = new Map<ETag, Digest>();
  for (const digest of manifests) {
    const etag = run.storage.etagOf(encodeText(encodeTarget(digest)));
    if (etag === undefined) break;
    digests.set(etag, digest);
  }
  const resolved: ResolvedTag[] = [];
  const left: ObjectInfo[] = [];
  for (const object of objects) {
    const digest = digests.get(object.etag);
    if (digest === undefined) left.push(object);
    else resolved.push(resolvedOf(object, digest));
  }
  return [...resolved, ...(await resolver.resolve(repository, { objects: left, manifests: [] }))];
}

function resolvedOf({ key, etag, lastModified }: ObjectInfo, digest: Digest): ResolvedTag {
  return { tag: tagOf(key), target: targetOf(digest), etag, lastModified, isRead: false };
}

/**
 * Divides the history of a tag. What a move replaced can be brought back for `undoMs` after that move, so an entry is kept
 * until the next one is that old; the newest one is kept while the tag exists. Entries count in the order in which storage got
 * them, and by its clock: their names hold the clocks of the writers.
 * @param entries in any order
 */
export function divideHistory(
  run: Pick<CollectorRun, 'startedAt'>,
  entries: readonly HistoryEntry[],
  { undoMs, isTagThere }: { undoMs: number; isTagThere: boolean },
): { recent: HistoryEntry[]; expired: HistoryEntry[] } {
  const ordered = entries.toSorted(
    (a, b) => a.info.lastModified.getTime() - b.info.lastModified.getTime() || a.move.atMs - b.move.atMs,
  );
  const newestByName = entries.reduce<HistoryEntry | undefined>(
    (newest, entry) => (newest && newest.move.atMs > entry.move.atMs ? newest : entry),
    undefined,
  );
  const recent: HistoryEntry[] = [];
  const expired: HistoryEntry[] = [];
  for (const [index, entry] of ordered.entries()) {
    const next = ordered[index + 1];
    // The time at which the tag named something else. Unknown for a tag that is gone without an entry of its deletion.
    const replacedBy = next ?? (entry.move.target === 'deleted' ? entry : undefined);
    const isNewestOfTag = isTagThere && (next === undefined || entry === newestByName);
    const isKept = isNewestOfTag || !replacedBy || !isOlderThan(run, replacedBy.info.lastModified, undoMs);
    (isKept ? recent : expired).push(entry);
  }
  return { recent, expired };
}

/** The entries of each tag. */
export function byTag(entries: readonly HistoryEntry[]): Map<Tag, HistoryEntry[]> {
  return Map.groupBy(entries, ({ move }) => move.tag);
}
