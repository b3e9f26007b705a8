// A run as its state object holds it: begun or taken over by this process, saved at checkpoints, ended.
import { randomUUID } from 'node:crypto';
import { lastPartOf, layout } from '../../model/layout.ts';
import type { ETag, StorageDriver } from '../../storage/driver.ts';
import type { CollectionReport } from './report.ts';
import { filterSizes, MemoryStore, newMemory, type RunMemory, readMemory } from './run-memory.ts';
import { isOlderThan, RunTakenOver } from './stage.ts';
import { type CollectorState, lastEnded, readState, type StoredState, writeState } from './state.ts';

/** Parts of runs that were never ended are removed after this time. */
const OLD_PART_MS = 24 * 60 * 60_000;

/** Where a run is. */
type Position = { stage: string; cursor?: string | undefined };

export class RunSession {
  readonly startedAt: Date;
  readonly memory: RunMemory;
  readonly notes: Record<string, string>;
  readonly #storage: StorageDriver;
  readonly #store: MemoryStore;
  #state: CollectorState;
  #etag: ETag;

  private constructor(storage: StorageDriver, stored: StoredState, memory: RunMemory) {
    this.#storage = storage;
    this.#store = new MemoryStore(storage, memory);
    this.#state = stored.state;
    this.#etag = stored.etag;
    this.startedAt = startOf(stored);
    this.notes = { ...stored.state.notes };
    this.memory = memory;
  }

  /**
   * Begins a run. At most six storage requests, and those to remove old parts.
   * @returns `undefined` if another process has written the state meanwhile
   */
  static async begin(storage: StorageDriver, before: StoredState | undefined): Promise<RunSession | undefined> {
    const last = before && lastEnded(before.state);
    const memory = await newMemory(storage, before?.state);
    const parts = await new MemoryStore(storage, memory).saveCopies();
    const state: CollectorState = {
      ...{ run: randomUUID(), holder: randomUUID(), parts, notes: before?.state.notes ?? {} },
      ...(last && { last }),
    };
    const etag = await writeState(storage, state, before?.etag);
    const stored = etag && (await readState(storage));
    if (!stored || stored.etag !== etag) return undefined;
    const session = new RunSession(storage, stored, memory);
    await session.#removeOldParts();
    return session;
  }

  /**
   * Takes over an unfinished run. Two storage requests, and one for each part.
   * @returns `undefined` if another process has written the state meanwhile; `unusable` if a part is gone or damaged
   */
  static async resume(storage: StorageDriver, before: StoredState): Promise<RunSession | 'unusable' | undefined> {
    const memory = await readMemory(storage, before.state);
    if (!memory) return 'unusable';
    const state = { ...before.state, holder: randomUUID(), startedAt: startOf(before).toISOString() };
    const etag = await writeState(storage, state, before.etag);
    return etag && new RunSession(storage, { ...before, state, etag }, memory);
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
   * Stores the memory of the run, then the position that it belongs to.
   * @throws RunTakenOver if another process has taken over the run
   */
  async save({ stage, cursor }: Position, report: CollectionReport): Promise<void> {
    const { parts, replaced } = await this.#store.save(this.#state.parts);
    const { cursor: _, ...state } = this.#state;
    await this.#write({
      ...{ ...state, startedAt: this.startedAt.toISOString(), stage, parts, notes: { ...this.notes } },
      ...(cursor !== undefined && { cursor }),
      report: report.toJson({ withList: false }),
    });
    await this.#store.remove(replaced);
  }

  /** Lets another process, or this one later, go on from the last position that was saved. */
  async release(): Promise<void> {
    const { holder: _, ...state } = this.#state;
    await this.#write({ ...state, startedAt: this.startedAt.toISOString() });
  }

  /** @param now for the state alone */
  async end(report: CollectionReport, now: Date): Promise<void> {
    const { run, parts } = this.#state;
    await this.#write({
      ...{ run, startedAt: this.startedAt.toISOString(), endedAt: now.toISOString() },
      parts: await this.#store.saveCopies(),
      notes: { ...this.notes, ...filterSizes(this.memory) },
      report: report.toJson({ withList: false }),
    });
    await this.#store.remove(Object.values(parts));
  }

  async #write(state: CollectorState): Promise<void> {
    const etag = await writeState(this.#storage, state, this.#etag);
    if (etag === undefined) throw new RunTakenOver(`another process has taken over the run ${this.run}`);
    this.#state = state;
    this.#etag = etag;
  }

  async #removeOldParts(): Promise<void> {
    const named = new Set(Object.values(this.#state.parts));
    for await (const { key, lastModified } of this.#storage.list(layout.collectorParts())) {
      const isOld = isOlderThan(this, lastModified, OLD_PART_MS);
      if (isOld && !named.has(lastPartOf(key))) await this.#storage.delete(key);
    }
  }
}

function startOf({ state, lastModified }: StoredState): Date {
  return state.startedAt === undefined ? lastModified : new Date(state.startedAt);
}
