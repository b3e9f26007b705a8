// The history of tags: an entry for each move, whose key holds the time and what the tag names from then on.

import type { Background } from '../../concurrency/background.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { NO_PEERS, type Peers } from '../../concurrency/peers.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { type Key, lastPartOf, layout, parseRepositoryRecord, type TagMove } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { AS_JSON, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { IsRepeated, Move, RecordMove } from '../tags/tag-change.ts';
import { decodeMoveTarget, encodeMoveTarget, showTarget, type TagTarget } from '../tags/target.ts';

/** Tags whose last move this process remembers, its own or that of another worker, to give two moves within one millisecond different times. */
const REMEMBERED = { max: 10_000 };

/** The last part of an entry's key. */
const ENTRY = /^\d{13}-[a-z0-9-]+$/;

/** A move of a tag as its history shows it. */
export type ShownMove = {
  /** Identifies the move in the history of its tag. */
  entry: string;
  at: Date;
  /** The caller's name; absent if the entry does not say. */
  by?: string;
  /** What the tag named before; absent if that is unknown, or the tag did not exist. */
  from?: TagTarget;
  /** What it names from then on; absent for a deletion. */
  to?: TagTarget;
};

export type HistoryPage = {
  moves: ShownMove[];
  /** `after` of the next page; absent on the last one. */
  next?: string;
};

type Entry = TagMove & { object: ObjectInfo };

export class TagHistory {
  readonly #storage: StorageDriver;
  readonly #background: Background | undefined;
  readonly #lastMoves = new LruCache<string, number>(REMEMBERED);

  readonly #peers: Peers;

  /** @param background writes entries behind the answer; without it, `record` writes them */
  constructor(
    storage: StorageDriver,
    { background, peers = NO_PEERS }: { background: Background | undefined; peers?: Peers },
  ) {
    this.#storage = storage;
    this.#background = background;
    this.#peers = peers;
    peers.hear('tag moved', ({ name, atMs }) =>
      this.#lastMoves.set(name, Math.max(atMs, this.#lastMoves.get(name) ?? 0)),
    );
  }

  /**
   * Writes the entry of a move that has just taken place. One storage request. It is not repeated if it fails in the
   * background: then the history lacks this move.
   */
  readonly record: RecordMove = async (repository, move) => {
    const { tag, by, from } = move;
    if (!layout.hasHistory(tag)) return async () => false;
    const entry = this.#entryOf(repository, move);
    const key = layout.historyEntry(repository, entry);
    const bytes = encodeText(JSON.stringify({ by, from: from && encodeMoveTarget(from) }));
    const write = async () => void (await this.#storage.put(key, bytes, AS_JSON));
    if (this.#background) this.#background.runAtOnce(`history of ${repository}:${tag}`, write);
    else await write();
    return this.#isRepeated(repository, entry, key);
  };

  /** Whether the entry before this one, which need not be written yet, has the same target. */
  #isRepeated(repository: RepositoryName, { tag, target }: TagMove, key: Key): IsRepeated {
    const after = layout.historyAfter(repository, tag, lastPartOf(key));
    return async () => {
      for await (const object of this.#storage.list(layout.tagHistory(repository, tag), { after })) {
        const record = parseRepositoryRecord(object.key);
        if (record?.kind === 'history') return record.move.target === target;
      }
      return false;
    };
  }

  /** Moves of one tag by the workers of one server have different times, in the order in which they took place. */
  #entryOf(repository: RepositoryName, { tag, to }: Move): TagMove {
    const name = `${repository}:${tag}`;
    const atMs = Math.max(Date.now(), (this.#lastMoves.get(name) ?? 0) + 1);
    this.#lastMoves.set(name, atMs);
    this.#peers.tell('tag moved', { name, atMs });
    return { tag, atMs, target: encodeMoveTarget(to) };
  }

  /**
   * A page of the moves of a tag, newest first. Repeated pushes of the same target are one move, at the time of the first push.
   * One storage request per 1,000 entries, and one for each move on the page, side by side.
   * @param options.after `next` of the page before; any other text means the first page
   */
  async list(
    repository: RepositoryName,
    tag: Tag,
    { after, size }: { after?: string | undefined; size: number },
  ): Promise<HistoryPage> {
    const found: { entry: Entry; before?: Entry }[] = [];
    let isLast = true;
    for await (const { entry, before } of this.#moves(repository, tag, after)) {
      isLast = found.length < size;
      if (!isLast) break;
      found.push({ entry, ...(before && { before }) });
    }
    const moves = await mapConcurrently(found, ({ entry, before }) => this.#show(entry, before));
    const next = moves.at(-1)?.entry;
    return { moves, ...(!isLast && next !== undefined && { next }) };
  }

  /** The moves of a tag, newest first, each with the one before it. */
  async *#moves(
    repository: RepositoryName,
    tag: Tag,
    after: string | undefined,
  ): AsyncGenerator<{ entry: Entry; before?: Entry }> {
    const folder = layout.tagHistory(repository, tag);
    const options =
      after !== undefined && ENTRY.test(after) ? { after: layout.historyAfter(repository, tag, after) } : {};
    let entry: Entry | undefined;
    for await (const object of this.#storage.list(folder, options)) {
      const record = parseRepositoryRecord(object.key);
      if (record?.kind !== 'history') continue;
      const before = { ...record.move, object };
      if (entry && entry.target !== before.target) yield { entry, before };
      entry = before;
    }
    if (entry) yield { entry };
  }

  async #show({ object, atMs, target }: Entry, before: Entry | undefined): Promise<ShownMove> {
    const body = parseJson((await this.#storage.read(object.key))?.bytes ?? new Uint8Array());
    const { by, from: recorded } = isJsonObject(body) ? body : {};
    const from = decodeMoveTarget(typeof recorded === 'string' ? recorded : (before?.target ?? ''));
    const to = decodeMoveTarget(target);
    return {
      entry: lastPartOf(object.key),
      at: new Date(atMs),
      ...(typeof by === 'string' && { by }),
      ...(from && { from }),
      ...(to && { to }),
    };
  }

  /** The newest entry of each tag, also of deleted tags. One storage request per 1,000 entries of the repository. */
  async *newestOfEachTag(repository: RepositoryName): AsyncGenerator<TagMove> {
    let last: Tag | undefined;
    // The entries of a tag are listed one after the other, the newest first.
    for await (const { key } of this.#storage.list(layout.repositoryHistory(repository))) {
      const record = parseRepositoryRecord(key);
      if (record?.kind !== 'history' || record.move.tag === last) continue;
      last = record.move.tag;
      yield record.move;
    }
  }
}

/** A move as programs read it. */
export function jsonOfMove({ entry, at, by, from, to }: ShownMove): JsonObject {
  const targets = { from: from ? showTarget(from) : null, to: to ? showTarget(to) : null };
  return { entry, at: at.toISOString(), by: by ?? null, ...targets };
}
