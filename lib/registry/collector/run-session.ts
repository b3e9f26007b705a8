// A run as its state object holds it: begun or taken over by this process, saved at checkpoints, ended.
import { randomUUID } from 'node:crypto';
import { layout } from '../../model/layout.ts';
import type { ETag, StorageDriver } from '../../storage/driver.ts';
import { readAll } from '../../streams/bytes.ts';
import { BloomFilter } from './bloom-filter.ts';
import type { CollectionReport } from './report.ts';
import { isOlderThan, type RunFilters, RunTakenOver } from './stage.ts';
import { type CollectorState, lastEnded, readState, type StoredState, writeState } from './state.ts';

/** Filters of runs that were never ended are removed after this time. */
const OLD_FILTER_MS = 24 * 60 * 60_000;

const FILTERS = ['linkedDigests', 'keptImages', 'pointers'] as const satisfies (keyof RunFilters)[];

/** What a checkpoint stores beside the filters. */
type Position = { stage: string; cursor?: string | undefined };

export class RunSession {
  readonly startedAt: Date;
  readonly filters: RunFilters;
  readonly notes: Record<string, string>;
  readonly #storage: StorageDriver;
  /** How many names each filter held when it was stored. */
  readonly #storedCounts: Record<keyof RunFilters, number>;
  #state: CollectorState;
  #etag: ETag;

  private constructor(storage: StorageDriver, stored: StoredState, filters: RunFilters) {
    this.#storage = storage;
    this.#state = stored.state;
    this.#etag = stored.etag;
    this.startedAt = startOf(stored);
    this.notes = { ...stored.state.notes };
    this.filters = filters;
    this.#storedCounts = {
      linkedDigests: filters.linkedDigests.count,
      keptImages: filters.keptImages.count,
      pointers: filters.pointers.count,
    };
  }

  /** Begins a run. Three storage requests. @returns `undefined` if another process has written the state meanwhile */
  static async begin(storage: StorageDriver, before: StoredState | undefined): Promise<RunSession | undefined> {
    const last = before && lastEnded(before.state);
    const state: CollectorState = {
      ...{ run: randomUUID(), holder: randomUUID(), filters: {}, notes: before?.state.notes ?? {} },
      ...(last && { last }),
    };
    const etag = await writeState(storage, state, before?.etag);
    const stored = etag && (await readState(storage));
    if (!stored || stored.etag !== etag) return undefined;
    const session = new RunSession(storage, stored, emptyFilters(state.notes));
    await session.#removeOldFilters();
    return session;
  }

  /**
   * Takes over an unfinished run. Two storage requests, and one for each filter.
   * @returns `undefined` if another process has written the state meanwhile; `unusable` if a filter cannot be read
   */
  static async resume(storage: StorageDriver, before: StoredState): Promise<RunSession | 'unusable' | undefined> {
    const filters = await readFilters(storage, before.state);
    if (!filters) return 'unusable';
    const state = { ...before.state, holder: randomUUID(), startedAt: startOf(before).toISOString() };
    const etag = await writeState(storage, state, before.etag);
    return etag && new RunSession(storage, { ...before, state, etag }, filters);
  }

  get run(): string {
    return this.#state.run;
  }

  /** Where the run goes on; without a stage at the first one. */
  get position(): Partial<Position> {
    return this.#state;
  }

  get report(): CollectorState['report'] {
    return this.#state.report;
  }

  /**
   * Stores the filters, then the position that they belong to. Each filter gets a key of its own, which the state names, so a
   * process that was paused cannot replace a later one.
   * @throws RunTakenOver if another process has taken over the run
   */
  async save({ stage, cursor }: Position, report: CollectionReport): Promise<void> {
    const filters = { ...this.#state.filters };
    const replaced: string[] = [];
    for (const name of FILTERS) {
      const { count } = this.filters[name];
      if (count === this.#storedCounts[name]) continue;
      const before = filters[name];
      if (before !== undefined) replaced.push(before);
      filters[name] = await this.#storeFilter(this.filters[name]);
      this.#storedCounts[name] = count;
    }
    const { cursor: _, ...state } = this.#state;
    await this.#write({
      ...{ ...state, startedAt: this.startedAt.toISOString(), stage, filters, notes: this.notes },
      ...(cursor !== undefined && { cursor }),
      report: report.toJson({ withList: false }),
    });
    for (const uuid of replaced) await this.#storage.delete(layout.collectorFilter(uuid));
  }

  /** Lets another process, or a later run of this one, go on from the last position that was saved. */
  async release(): Promise<void> {
    const { holder: _, ...state } = this.#state;
    await this.#write({ ...state, startedAt: this.startedAt.toISOString() });
  }

  /** @param now for the state alone */
  async end(report: CollectionReport, now: Date): Promise<void> {
    const { run, filters } = this.#state;
    for (const name of FILTERS) this.notes[name] = String(this.filters[name].count);
    await this.#write({
      ...{ run, startedAt: this.startedAt.toISOString(), endedAt: now.toISOString(), filters: {}, notes: this.notes },
      report: report.toJson({ withList: false }),
    });
    for (const uuid of Object.values(filters)) await this.#storage.delete(layout.collectorFilter(uuid));
  }

  async #write(state: CollectorState): Promise<void> {
    const etag = await writeState(this.#storage, state, this.#etag);
    if (etag === undefined) throw new RunTakenOver(`another process has taken over the run ${this.run}`);
    this.#state = state;
    this.#etag = etag;
  }

  async #storeFilter(filter: BloomFilter): Promise<string> {
    const uuid = randomUUID();
    await this.#storage.putStream(layout.collectorFilter(uuid), toAsync(filter.encode()));
    return uuid;
  }

  async #removeOldFilters(): Promise<void> {
    for await (const { key, lastModified } of this.#storage.list(layout.collectorFilters())) {
      if (isOlderThan(this, lastModified, OLD_FILTER_MS)) await this.#storage.delete(key);
    }
  }
}

function startOf({ state, lastModified }: StoredState): Date {
  return state.startedAt === undefined ? lastModified : new Date(state.startedAt);
}

/** @param notes of the last run: it says how many names to expect */
export function emptyFilters(notes: Record<string, string>): RunFilters {
  const empty = (name: keyof RunFilters) => BloomFilter.empty(Math.ceil(1.1 * (Number(notes[name]) || 0)));
  return { linkedDigests: empty('linkedDigests'), keptImages: empty('keptImages'), pointers: empty('pointers') };
}

async function readFilters(storage: StorageDriver, state: CollectorState): Promise<RunFilters | undefined> {
  const filters = emptyFilters(state.notes);
  for (const name of FILTERS) {
    const uuid = state.filters[name];
    if (uuid === undefined) continue;
    const object = await storage.get(layout.collectorFilter(uuid));
    if (!object) return undefined;
    filters[name] = BloomFilter.decode(await readAll(object.body));
  }
  return filters;
}

async function* toAsync(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
