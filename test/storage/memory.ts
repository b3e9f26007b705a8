import { createHash, randomUUID } from 'node:crypto';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { compareByteOrder } from '../../lib/storage/byte-order.ts';
import {
  checkLook,
  type DeleteOptions,
  type ETag,
  type ObjectInfo,
  type PutOptions,
  type ReadObject,
  type StorageDriver,
  type StoredObject,
} from '../../lib/storage/driver.ts';
import { concatBytes } from '../../lib/streams/bytes.ts';

export type MemoryStorageOptions = {
  /** Whether `If-Match` of a DELETE counts, as on AWS; on MinIO it is ignored. Default true. */
  honorsDeleteConditions?: boolean;
  /** Whether ETags are MD5s of the bytes, as without SSE-KMS. Default true. */
  areETagsMD5?: boolean;
};

type Stored = { bytes: Uint8Array<ArrayBuffer>; lastModified: Date; etag: ETag };

/**
 * An S3 server in memory: ETags are MD5s, and its clock is set by the test. Without multipart uploads, which a test of the
 * collector does not need.
 */
export class MemoryStorage implements StorageDriver {
  readonly objects = new Map<Key, Stored>();
  /** Requests by method, for tests that count them. */
  readonly requests: Record<string, number> = {};
  /** Each request as `METHOD key`. */
  readonly log: string[] = [];
  readonly #honorsDeleteConditions: boolean;
  readonly #areETagsMD5: boolean;
  #nowMs = Date.UTC(2026, 0, 1);

  constructor({ honorsDeleteConditions = true, areETagsMD5 = true }: MemoryStorageOptions = {}) {
    this.#honorsDeleteConditions = honorsDeleteConditions;
    this.#areETagsMD5 = areETagsMD5;
  }

  /** The clock of this storage. */
  get now(): Date {
    return new Date(this.#nowMs);
  }

  /** Sets the clock forward. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }

  #count(method: string, at: string): void {
    this.requests[method] = (this.requests[method] ?? 0) + 1;
    this.log.push(`${method} ${at}`);
    this.#nowMs++; // no two writes happen at the same time
  }

  #info(key: Key, { bytes, etag, lastModified }: Stored): ObjectInfo {
    return { key, sizeBytes: bytes.length, etag, lastModified };
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    this.#count('HEAD', key);
    const stored = this.objects.get(key);
    return stored && this.#info(key, stored);
  }

  async get(key: Key): Promise<StoredObject | undefined> {
    const read = await this.read(key);
    return read && { info: read.info, body: ReadableStream.from([read.bytes]) };
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    this.#count('GET', key);
    const stored = this.objects.get(key);
    return stored && { info: this.#info(key, stored), bytes: stored.bytes };
  }

  etagOf(bytes: Uint8Array): ETag | undefined {
    return this.#areETagsMD5 ? (`"${createHash('md5').update(bytes).digest('hex')}"` as ETag) : undefined;
  }

  async put(key: Key, body: Uint8Array, { ifAbsent, ifMatch, look }: PutOptions = {}): Promise<ETag | undefined> {
    this.#count('PUT', key);
    checkLook(look);
    const before = this.objects.get(key);
    if ((ifAbsent && before) || (ifMatch !== undefined && before?.etag !== ifMatch)) return undefined;
    const bytes = Uint8Array.from(body);
    const etag = this.etagOf(bytes) ?? (`"${randomUUID()}"` as ETag);
    this.objects.set(key, { bytes, etag, lastModified: this.now });
    return etag;
  }

  async putStream(key: Key, body: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ETag | undefined> {
    return await this.put(key, concatBytes(await Array.fromAsync(body)), options);
  }

  async copyIfAbsent(from: Key, to: Key): Promise<boolean> {
    const source = await this.read(from);
    return source !== undefined && (await this.put(to, source.bytes, { ifAbsent: true })) !== undefined;
  }

  async *list(prefix: KeyPrefix, { after }: { after?: Key } = {}): AsyncGenerator<ObjectInfo> {
    let position: string | undefined = after;
    for (;;) {
      this.#count('LIST', prefix);
      const isNext = (key: Key) =>
        key.startsWith(prefix) && (position === undefined || compareByteOrder(key, position) > 0);
      const page = [...this.objects.keys()].filter(isNext).sort(compareByteOrder).slice(0, 1000);
      const infos = page.flatMap((key) => {
        const stored = this.objects.get(key);
        return stored ? [this.#info(key, stored)] : [];
      });
      yield* infos;
      if (page.length < 1000) return;
      position = page.at(-1);
    }
  }

  async *listFolders(prefix: KeyPrefix, { after = '' }: { after?: string } = {}): AsyncGenerator<KeyPrefix> {
    this.#count('LIST', prefix);
    const folders = new Set<KeyPrefix>();
    for (const key of this.objects.keys()) {
      const end = key.startsWith(prefix) ? key.indexOf('/', prefix.length) : -1;
      if (end >= 0) folders.add(key.slice(0, end + 1) as KeyPrefix);
    }
    yield* [...folders].filter((folder) => compareByteOrder(folder, after) > 0).sort(compareByteOrder);
  }

  async delete(key: Key, { ifMatch, onceWithin }: DeleteOptions = {}): Promise<boolean> {
    this.#count('DELETE', key);
    checkLook(onceWithin);
    const before = this.objects.get(key);
    if (this.#honorsDeleteConditions && before && ifMatch !== undefined && before.etag !== ifMatch) return false;
    this.objects.delete(key);
    return true;
  }

  async deleteMany(keys: readonly Key[]): Promise<void> {
    for (let start = 0; start < keys.length; start += 1000) {
      this.#count('DELETE', `${keys.length} objects`);
      for (const key of keys.slice(start, start + 1000)) this.objects.delete(key);
    }
  }

  async honorsDeleteConditions(): Promise<boolean> {
    return this.#honorsDeleteConditions;
  }

  async createMultipart(): Promise<never> {
    throw new Error('storage in memory has no multipart uploads');
  }
  async uploadPart(): Promise<undefined> {}
  async listParts(): Promise<undefined> {}
  async completeMultipart(): Promise<boolean> {
    return false;
  }
  async abortMultipart(): Promise<void> {}
  async close(): Promise<void> {}
}
