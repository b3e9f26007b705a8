// Joins of listings that are sorted by different names: records of the one wait, in partitions by the beginning of the name
// that both have in common, until the listing of the other gets there.
import { createReadStream } from 'node:fs';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { compareByteOrder } from '../../storage/byte-order.ts';
import { MiB } from '../../streams/bytes.ts';

/** Records in memory, before they go to temporary files. */
const MEMORY_BYTES = 8 * MiB;

/** Names begin with hex digits, digests after their algorithm. Those with the same two first digits are in one partition. */
const PARTITION = /^(?:sha(?:256|512)\/)?../;

/**
 * Records by name. Up to 8 MiB are in memory, the others in temporary files, so that the memory of a join is that of one
 * partition: of 10 million records 40,000.
 */
export class Spill<T> {
  readonly #maxMemoryBytes: number;
  readonly #lines = new Map<string, string[]>();
  #memoryBytes = 0;
  #directory: string | undefined;
  readonly #files = new Set<string>();

  constructor({ maxMemoryBytes = MEMORY_BYTES }: { maxMemoryBytes?: number } = {}) {
    this.#maxMemoryBytes = maxMemoryBytes;
  }

  /** @param name such as `sha256/<hex>`, an image id or a uuid; without a tab. @param record of JSON values */
  async add(name: string, record: T): Promise<void> {
    const partition = partitionOf(name);
    const line = `${name}\t${JSON.stringify(record)}\n`;
    const lines = this.#lines.get(partition);
    if (lines) lines.push(line);
    else this.#lines.set(partition, [line]);
    this.#memoryBytes += line.length;
    if (this.#memoryBytes > this.#maxMemoryBytes) await this.#flush();
  }

  async #flush(): Promise<void> {
    this.#directory ??= await mkdtemp(join(tmpdir(), 'stowage-join-'));
    for (const [partition, lines] of this.#lines) {
      await appendFile(this.#pathOf(this.#directory, partition), lines.join(''));
      this.#files.add(partition);
    }
    this.#lines.clear();
    this.#memoryBytes = 0;
  }

  #pathOf(directory: string, partition: string): string {
    return join(directory, partition.replaceAll('/', '-'));
  }

  /** The partitions that hold records, in byte order. */
  get partitions(): string[] {
    return [...new Set([...this.#files, ...this.#lines.keys()])].sort(compareByteOrder);
  }

  /** The records of a partition by name. */
  async read(partition: string): Promise<Map<string, T[]>> {
    const records = new Map<string, T[]>();
    const add = (line: string) => {
      const end = line.indexOf('\t');
      const name = line.slice(0, end);
      const record = JSON.parse(line.slice(end + 1)) as T;
      const others = records.get(name);
      if (others) others.push(record);
      else records.set(name, [record]);
    };
    if (this.#directory !== undefined && this.#files.has(partition)) {
      for await (const line of createInterface(createReadStream(this.#pathOf(this.#directory, partition)))) add(line);
    }
    for (const line of this.#lines.get(partition) ?? []) add(line);
    return records;
  }

  /** Deletes the temporary files. */
  async close(): Promise<void> {
    this.#lines.clear();
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }
}

function partitionOf(name: string): string {
  return PARTITION.exec(name)?.[0] ?? name;
}

/** `group` is absent for a name that only records have. */
export type Joined<G, T> = { name: string; group?: G; records: T[] };

/**
 * Joins groups in byte order of their names with the records of the same names. Names without a group follow the groups of
 * their partition.
 */
export async function* joinWithSpill<G extends { name: string }, T>(
  groups: AsyncIterable<G>,
  spill: Spill<T>,
): AsyncGenerator<Joined<G, T>> {
  const waiting = spill.partitions;
  let current: { partition: string; records: Map<string, T[]> } | undefined;
  async function* rest(): AsyncGenerator<Joined<G, T>> {
    for (const [name, records] of current?.records ?? []) yield { name, records };
    current = undefined;
  }
  for await (const group of groups) {
    const partition = partitionOf(group.name);
    if (current && current.partition !== partition) yield* rest();
    for (let first = waiting[0]; first !== undefined && compareByteOrder(first, partition) <= 0; first = waiting[0]) {
      waiting.shift();
      if (current) yield* rest();
      current = { partition: first, records: await spill.read(first) };
    }
    if (current && current.partition !== partition) yield* rest();
    const records = current?.records.get(group.name) ?? [];
    current?.records.delete(group.name);
    yield { name: group.name, group, records };
  }
  yield* rest();
  for (const partition of waiting) {
    current = { partition, records: await spill.read(partition) };
    yield* rest();
  }
}
