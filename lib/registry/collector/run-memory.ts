// What a run remembers beside its position, each in an object of its own.
import { randomUUID } from 'node:crypto';
import { layout } from '../../model/layout.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { readAll } from '../../streams/bytes.ts';
import { BlobCopies } from './blob-copies.ts';
import { BloomFilter } from './bloom-filter.ts';
import type { RunFilters } from './stage.ts';
import type { CollectorState } from './state.ts';

export type RunMemory = { filters: RunFilters; copies: BlobCopies };

/** What is stored of it, by the uuid of the object; a part without content has none. */
export type StoredParts = CollectorState['parts'];

const FILTERS = ['linkedDigests', 'keptImages', 'pointers'] as const satisfies (keyof RunFilters)[];

/** The memory of a new run. One storage request at most. */
export async function newMemory(storage: StorageDriver, before: CollectorState | undefined): Promise<RunMemory> {
  const uuid = before?.parts.copies;
  const bytes = uuid === undefined ? undefined : await readPart(storage, uuid);
  return {
    filters: emptyFilters(before?.notes ?? {}),
    copies: BlobCopies.afterRun(bytes && unlessDamaged(() => BlobCopies.decode(bytes))),
  };
}

/** The memory of an interrupted run. One storage request for each part. `undefined` if one is gone or damaged. */
export async function readMemory(
  storage: StorageDriver,
  { parts, notes }: CollectorState,
): Promise<RunMemory | undefined> {
  const filters = emptyFilters(notes);
  for (const name of FILTERS) {
    const uuid = parts[name];
    const bytes = uuid === undefined ? undefined : await readPart(storage, uuid);
    const filter = bytes && unlessDamaged(() => BloomFilter.decode(bytes));
    if (uuid !== undefined && !filter) return undefined;
    if (filter) filters[name] = filter;
  }
  const bytes = parts.copies === undefined ? undefined : await readPart(storage, parts.copies);
  const copies = bytes && unlessDamaged(() => BlobCopies.decode(bytes));
  if (parts.copies !== undefined && !copies) return undefined;
  return { filters, copies: copies ?? BlobCopies.afterRun(undefined) };
}

function unlessDamaged<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** How many names each filter holds: the sizes that the next run begins with. */
export function filterSizes({ filters }: RunMemory): Record<string, string> {
  return Object.fromEntries(FILTERS.map((name) => [name, String(filters[name].count)]));
}

function emptyFilters(notes: Record<string, string>): RunFilters {
  const empty = (name: keyof RunFilters) => BloomFilter.empty(Math.ceil(1.1 * (Number(notes[name]) || 0)));
  return { linkedDigests: empty('linkedDigests'), keptImages: empty('keptImages'), pointers: empty('pointers') };
}

async function readPart(storage: StorageDriver, uuid: string): Promise<Uint8Array | undefined> {
  const object = await storage.get(layout.collectorPart(uuid));
  return object && (await readAll(object.body));
}

/**
 * Stores the memory of a run. Each part that has changed gets a new object, since a process that was paused must not replace
 * what the state of the run names by then.
 */
export class MemoryStore {
  readonly #storage: StorageDriver;
  readonly #memory: RunMemory;
  readonly #storedCounts = new Map<keyof StoredParts, number>();

  /** @param memory as it is stored, or without content */
  constructor(storage: StorageDriver, memory: RunMemory) {
    this.#storage = storage;
    this.#memory = memory;
    for (const [name, { count }] of this.#parts) this.#storedCounts.set(name, count);
  }

  get #parts(): [keyof StoredParts, { count: number; encode(): Iterable<Uint8Array> }][] {
    const { filters, copies } = this.#memory;
    return [...FILTERS.map((name): [keyof StoredParts, BloomFilter] => [name, filters[name]]), ['copies', copies]];
  }

  /** Stores the parts that have changed. @returns all parts, and those that are replaced once the state names the new ones */
  async save(before: StoredParts): Promise<{ parts: StoredParts; replaced: string[] }> {
    const parts = { ...before };
    const replaced: string[] = [];
    for (const [name, part] of this.#parts) {
      const { count } = part;
      if (count === this.#storedCounts.get(name)) continue;
      const uuid = await this.#store(part);
      const old = parts[name];
      if (old !== undefined) replaced.push(old);
      parts[name] = uuid;
      this.#storedCounts.set(name, count);
    }
    return { parts, replaced };
  }

  /** What a run needs of the one before, in an object of its own. */
  async saveCopies(): Promise<StoredParts> {
    return this.#memory.copies.isEmpty ? {} : { copies: await this.#store(this.#memory.copies) };
  }

  async #store(part: { encode(): Iterable<Uint8Array> }): Promise<string> {
    const uuid = randomUUID();
    await this.#storage.putStream(layout.collectorPart(uuid), toAsync(part.encode()));
    return uuid;
  }

  async remove(uuids: readonly string[]): Promise<void> {
    for (const uuid of uuids) await this.#storage.delete(layout.collectorPart(uuid));
  }
}

async function* toAsync(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
