// What is kept in a repository without anything else naming it: what its tags name now, and what they have named within the undo
// window.
import { type TagMove, tagOf } from '../../model/layout.ts';
import { type Digest, type ImageId, type RepositoryName, sha256Digest, type Tag } from '../../model/names.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { ListedObjects } from '../inventory/listed-objects.ts';
import { indexedIds } from '../tags/index-images.ts';
import type { TagResolver } from '../tags/resolve-tags.ts';
import { encodeTarget, type ResolvedTag, type TagTarget, targetOf } from '../tags/target.ts';
import type { ListedManifests } from './listed-manifests.ts';
import type { ListedRecords } from './repository-records.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

/** An entry of a tag's history, as the listing shows it, with its number. */
type HistoryEntry = { index: number; info: ObjectInfo; move: TagMove };

const IS_TAGGED = 1;
const IS_RECENT = 2;

/** What the tags of a repository name, and have named within the undo window. */
export class Roots {
  readonly #manifests: ListedManifests;
  readonly #marks: Uint8Array;
  /** The v1 images that tags name or have named, without those whose digits are the digest of a manifest: they name that. */
  readonly images = new Set<ImageId>();

  constructor(manifests: ListedManifests) {
    this.#manifests = manifests;
    this.#marks = new Uint8Array(manifests.listedCount);
  }

  addTag(target: TagTarget): void {
    this.#add(target, IS_TAGGED);
  }

  addRecent(target: TagTarget): void {
    this.#add(target, IS_RECENT);
  }

  #add({ digest, imageId }: TagTarget, mark: number): void {
    const index = this.#manifests.indexOf(digest);
    if (index >= 0) this.#marks[index] = (this.#marks[index] ?? 0) | mark;
    if (imageId && !this.#manifests.has(sha256Digest(imageId))) this.images.add(imageId);
  }

  /** The reason why the manifest with this number is kept, if it is a root. */
  reasonOf(index: number): string | undefined {
    const mark = this.#marks[index] ?? 0;
    if (mark & IS_TAGGED) return 'a tag names it';
    return mark & IS_RECENT ? 'the history of a tag names it' : undefined;
  }
}

/** Tags that are resolved together. */
const TAGS_AT_ONCE = 10_000;

export type ResolvedTags = { objects: ObjectInfo[]; resolved: ResolvedTag[] };

/**
 * Resolves the tags of a repository, some at a time: `objects` that are not in `resolved` are no tags, or deleted by now. Where the
 * ETag of an object is the MD5 of its bytes, a tag that names a manifest of the repository is recognized by the listing, and only
 * the others are read. A wrong match only keeps.
 */
export async function* resolveTags(
  run: CollectorRun,
  resolver: TagResolver,
  {
    repository,
    objects,
    manifests,
  }: { repository: RepositoryName; objects: ListedObjects; manifests: ListedManifests },
): AsyncGenerator<ResolvedTags> {
  const byETag = objects.size > 0 ? new ManifestsByETag(run.storage, manifests) : undefined;
  let ids: Promise<ImageId[]> | undefined;
  const readIndexed = () => (ids ??= indexedIds(run.storage, repository));
  const resolveLeft = async (left: readonly number[]): Promise<ResolvedTags> => {
    const infos = left.map((index) => objects.at(index));
    return {
      objects: infos,
      resolved: await resolver.resolve(repository, { objects: infos, manifests: [], readIndexed }),
    };
  };
  const left: number[] = [];
  let matched: ResolvedTags = { objects: [], resolved: [] };
  for (let index = 0; index < objects.size; index++) {
    const object = objects.at(index);
    const digest = byETag?.find(object.etag);
    if (digest === undefined) {
      left.push(index);
      continue;
    }
    matched.objects.push(object);
    matched.resolved.push(resolvedOf(object, digest));
    if (matched.objects.length < TAGS_AT_ONCE) continue;
    yield matched;
    matched = { objects: [], resolved: [] };
  }
  yield matched;
  for (let start = 0; start < left.length; start += TAGS_AT_ONCE) {
    yield await resolveLeft(left.slice(start, start + TAGS_AT_ONCE));
  }
}

/** Finds a manifest by the ETag of a tag that names it, in 8 to 16 bytes for each. Empty where ETags are no MD5s. */
class ManifestsByETag {
  readonly #storage: Pick<StorageDriver, 'etagOf'>;
  readonly #manifests: ListedManifests;
  /** Numbers of manifests, from 1 on, by a hash of the ETag; 0 for a free slot. */
  readonly #slots: Int32Array;

  constructor(storage: Pick<StorageDriver, 'etagOf'>, manifests: ListedManifests) {
    this.#storage = storage;
    this.#manifests = manifests;
    const slots = storage.etagOf(new Uint8Array()) === undefined ? 0 : 2 * manifests.listedCount;
    this.#slots = new Int32Array(slots === 0 ? 0 : 2 ** Math.ceil(Math.log2(slots)));
    if (slots === 0) return;
    for (const index of manifests.indexes()) {
      const etag = this.#etagOf(index);
      if (etag === undefined) return;
      let slot = this.#slotOf(etag);
      while (this.#slots[slot] !== 0) slot = (slot + 1) % this.#slots.length;
      this.#slots[slot] = index + 1;
    }
  }

  find(etag: ETag): Digest | undefined {
    if (this.#slots.length === 0) return undefined;
    for (let slot = this.#slotOf(etag); ; slot = (slot + 1) % this.#slots.length) {
      const index = (this.#slots[slot] ?? 0) - 1;
      if (index < 0) return undefined;
      if (this.#etagOf(index) === etag) return this.#manifests.digestAt(index);
    }
  }

  #etagOf(index: number): ETag | undefined {
    return this.#storage.etagOf(encodeText(encodeTarget(this.#manifests.digestAt(index))));
  }

  /** https://en.wikipedia.org/wiki/Fowler–Noll–Vo_hash_function */
  #slotOf(etag: ETag): number {
    let sum = 0x811c9dc5;
    for (let at = 0; at < etag.length; at++) sum = Math.imul(sum ^ etag.charCodeAt(at), 0x01000193);
    return (sum >>> 0) % this.#slots.length;
  }
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
function divideHistory(
  run: Pick<CollectorRun, 'startedAt'>,
  entries: readonly HistoryEntry[],
  { undoMs, isTagThere }: { undoMs: number; isTagThere: boolean },
): { recent: HistoryEntry[]; expired: HistoryEntry[]; newest: HistoryEntry | undefined } {
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
  return { recent, expired, newest: newestByName };
}

/** The history of all tags of a repository, by the numbers of its entries. */
export type DividedHistory = {
  /** The newest entry of a tag that is there: the time in its name decides. By the number of the tag. */
  newestOf: (tag: number) => number | undefined;
  expired: number[];
  /** The newest entries of tags that are not there, unless they record the deletion. */
  vanished: number[];
};

/**
 * Divides the history of all tags. In memory is that of one tag at a time.
 * @param onRecent called with each move that can be undone, and with that of each tag to what it names now
 */
export function divideHistories(
  run: Pick<CollectorRun, 'startedAt'>,
  history: ListedRecords<'history'>,
  {
    indexOfTag,
    undoMs,
    onRecent,
  }: { indexOfTag: (tag: Tag) => number; undoMs: number; onRecent: (move: TagMove) => void },
): DividedHistory {
  const newest = new Map<number, number>();
  const divided: DividedHistory = { newestOf: (tag) => newest.get(tag), expired: [], vanished: [] };
  for (const entries of entriesByTag(history)) {
    const [first] = entries;
    if (!first) continue;
    const tag = indexOfTag(first.move.tag);
    const ofTag = divideHistory(run, entries, { undoMs, isTagThere: tag >= 0 });
    for (const { move } of ofTag.recent) onRecent(move);
    for (const { index } of ofTag.expired) divided.expired.push(index);
    if (!ofTag.newest) continue;
    if (tag >= 0) newest.set(tag, ofTag.newest.index);
    else if (ofTag.newest.move.target !== 'deleted') divided.vanished.push(ofTag.newest.index);
  }
  return divided;
}

/** A listing has the entries of one tag one after the other. */
function* entriesByTag(history: ListedRecords<'history'>): Generator<HistoryEntry[]> {
  let entries: HistoryEntry[] = [];
  for (let index = 0; index < history.size; index++) {
    const { info, record } = history.at(index);
    if (entries[0] && entries[0].move.tag !== record.move.tag) {
      yield entries;
      entries = [];
    }
    entries.push({ index, info, move: record.move });
  }
  yield entries;
}
