// Storage that answers for a synthetic bucket as S3 does, and counts the requests. What is written lies over the bucket: small
// objects in memory, others in a temporary file.
import { hash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
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
import { type Bytes, concatBytes, encodeText } from '../../lib/streams/bytes.ts';
import type { SyntheticObject, SyntheticObjects } from './sections.ts';
import { SortedKeys } from './sorted-keys.ts';
import { WithoutMultipart } from './without-multipart.ts';

/** The keys of one listing request. */
export const PAGE = 1000;
/** Larger objects that are written go to the temporary file. */
const IN_MEMORY_BYTES = 256;
/** Comes after every key that begins like what is before it: keys are ASCII here. */
const LAST = '\u{7f}';
const ASCII = /^[\x20-\x7e]*$/;
/** The ETag of a larger object is one of parts: it does not depend on the bytes alone. */
const MAX_HASHED_BYTES = 64 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export type RequestCounts = { list: number; get: number; head: number; put: number; copy: number; delete: number };

type Written = { etag: ETag; writtenAt: Date; sizeBytes: number } & ({ bytes: Bytes } | { offset: number });

export class SimulatedStorage extends WithoutMultipart implements StorageDriver {
  readonly requests: RequestCounts = { list: 0, get: 0, head: 0, put: 0, copy: 0, delete: 0 };
  readonly #bucket: SyntheticObjects;
  readonly #filledAt: Date;
  /** `deleted` hides an object of the bucket. */
  readonly #written = new Map<string, Written | 'deleted'>();
  readonly #keys = new SortedKeys();
  readonly #folder = mkdtempSync(join(tmpdir(), 'stowage-scale-'));
  readonly #file = openSync(join(this.#folder, 'written'), 'w+');
  #fileBytes = 0;
  #aheadMs = 0;

  /** @param ageMs how long ago the objects of the bucket were written. Default 30 days */
  constructor(bucket: SyntheticObjects, { ageMs = 30 * DAY_MS }: { ageMs?: number } = {}) {
    super();
    this.#bucket = bucket;
    this.#filledAt = new Date(Math.floor((Date.now() - ageMs) / 1000) * 1000);
  }

  /** Moves the clock of storage forward. @returns how far it is ahead of the clock of this process, in milliseconds */
  advance(milliseconds: number): number {
    this.#aheadMs += milliseconds;
    return this.#aheadMs;
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    this.requests.head++;
    return this.#find(key)?.info;
  }

  async get(key: Key, { range }: { range?: { start: number; end: number } } = {}): Promise<StoredObject | undefined> {
    const object = await this.read(key);
    if (!object) return undefined;
    const bytes = range ? object.bytes.subarray(range.start, range.end + 1) : object.bytes;
    return { info: object.info, body: new Blob([bytes]).stream() };
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    this.requests.get++;
    const found = this.#find(key);
    return found && { info: found.info, bytes: found.bytes() };
  }

  /** Some of the bytes of an object that a counted request has begun to read. */
  readOn(key: Key, start: number, end: number): Bytes {
    const written = this.#written.get(key);
    if (written && written !== 'deleted' && 'offset' in written) {
      return this.#load({
        ...written,
        offset: written.offset + start,
        sizeBytes: Math.min(end, written.sizeBytes) - start,
      });
    }
    return this.#find(key)?.bytes().slice(start, end) ?? new Uint8Array();
  }

  etagOf(bytes: Uint8Array): ETag {
    return etagOfBytes(bytes);
  }

  async put(key: Key, body: Uint8Array, { ifAbsent, ifMatch }: PutOptions = {}): Promise<ETag | undefined> {
    this.requests.put++;
    if (!ASCII.test(key)) throw new Error(`the simulator orders ASCII keys only, not ${key}`);
    if (ifAbsent || ifMatch !== undefined) {
      const before = this.#find(key)?.info;
      if (ifAbsent ? before : before?.etag !== ifMatch) return undefined;
    }
    const etag = this.etagOf(body);
    this.#keys.add(key);
    this.#written.set(key, { etag, writtenAt: this.now, sizeBytes: body.length, ...this.#store(body) });
    return etag;
  }

  async putStream(key: Key, body: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ETag | undefined> {
    return await this.put(key, concatBytes(await Array.fromAsync(body)), options);
  }

  async copyIfAbsent(from: Key, to: Key): Promise<boolean> {
    const source = await this.read(from);
    if (!source || this.#find(to)) return false;
    await this.put(to, source.bytes);
    this.requests.put--;
    this.requests.copy++;
    return true;
  }

  async *list(prefix: KeyPrefix, { after = '' as Key }: { after?: Key } = {}): AsyncGenerator<ObjectInfo> {
    for (let cursor: string = after; ; ) {
      this.requests.list++;
      await nextTurn();
      const page: ObjectInfo[] = [];
      for (const info of this.#objects(prefix, cursor)) {
        page.push(info);
        if (page.length > PAGE) break;
      }
      yield* page.slice(0, PAGE);
      const last = page[PAGE - 1];
      if (page.length <= PAGE || !last) return;
      cursor = last.key;
    }
  }

  async *listFolders(prefix: KeyPrefix, { after = '' }: { after?: string } = {}): AsyncGenerator<KeyPrefix> {
    this.requests.list++;
    let entries = 0;
    for (let cursor = after; ; ) {
      const { value: next } = this.#objects(prefix, cursor).next();
      if (!next) return;
      if (++entries > PAGE) {
        this.requests.list++;
        entries = 1;
        await nextTurn();
      }
      const end = next.key.indexOf('/', prefix.length);
      const folder = next.key.slice(0, end + 1);
      cursor = end < 0 ? next.key : folder + LAST;
      if (end >= 0 && folder > after) yield folder as KeyPrefix;
    }
  }

  async delete(key: Key, { ifMatch, onceWithin }: DeleteOptions = {}): Promise<boolean> {
    checkLook(onceWithin);
    this.requests.delete++;
    const before = this.#find(key)?.info;
    if (before && ifMatch !== undefined && before.etag !== ifMatch) return false;
    if (!before) return true;
    this.#keys.add(key);
    this.#written.set(key, 'deleted');
    return true;
  }

  async honorsDeleteConditions(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    closeSync(this.#file);
    rmSync(this.#folder, { recursive: true });
  }

  /** As S3, in whole seconds. */
  get now(): Date {
    return new Date(Math.floor((Date.now() + this.#aheadMs) / 1000) * 1000);
  }

  #find(key: string): { info: ObjectInfo; bytes: () => Bytes } | undefined {
    const written = this.#written.get(key);
    if (written === 'deleted') return undefined;
    if (written) return { info: writtenInfo(key, written), bytes: () => this.#load(written) };
    const object = this.#bucket.find(key);
    return object && { info: new SyntheticInfo(object, this.#filledAt), bytes: object.bytes };
  }

  /** The bucket and what is written over it, in byte order. */
  *#objects(prefix: string, after: string): Generator<ObjectInfo> {
    const above = this.#writtenKeys(prefix, after);
    let written = above.next();
    for (const object of this.#bucket.list(prefix, after)) {
      for (; !written.done && written.value <= object.key; written = above.next()) {
        const info = this.#writtenInfo(written.value);
        if (info) yield info;
      }
      if (!this.#written.has(object.key)) yield new SyntheticInfo(object, this.#filledAt);
    }
    for (; !written.done; written = above.next()) {
      const info = this.#writtenInfo(written.value);
      if (info) yield info;
    }
  }

  *#writtenKeys(prefix: string, after: string): Generator<string, undefined> {
    if (this.#written.size === 0) return undefined;
    if (prefix > after && this.#written.has(prefix)) yield prefix;
    for (const key of this.#keys.after(after > prefix ? after : prefix)) {
      if (!key.startsWith(prefix)) return undefined;
      yield key;
    }
    return undefined;
  }

  #writtenInfo(key: string): ObjectInfo | undefined {
    const written = this.#written.get(key);
    return written && written !== 'deleted' ? writtenInfo(key, written) : undefined;
  }

  #store(body: Uint8Array): { bytes: Bytes } | { offset: number } {
    if (body.length <= IN_MEMORY_BYTES) return { bytes: Uint8Array.from(body) };
    const offset = this.#fileBytes;
    writeSync(this.#file, body, 0, body.length, offset);
    this.#fileBytes += body.length;
    return { offset };
  }

  #load(written: Written): Bytes {
    if ('bytes' in written) return written.bytes;
    const bytes = new Uint8Array(written.sizeBytes);
    readSync(this.#file, bytes, 0, bytes.length, written.offset);
    return bytes;
  }
}

/** Computes the ETag only where it is asked for: most objects of a listing are not compared by it. */
class SyntheticInfo implements ObjectInfo {
  readonly key: Key;
  readonly sizeBytes: number;
  readonly lastModified: Date;
  readonly #object: SyntheticObject;

  constructor(object: SyntheticObject, lastModified: Date) {
    this.key = object.key as Key;
    this.sizeBytes = object.sizeBytes;
    this.lastModified = lastModified;
    this.#object = object;
  }

  get etag(): ETag {
    const { sizeBytes, key } = this;
    return etagOfBytes(sizeBytes > MAX_HASHED_BYTES ? encodeText(key) : this.#object.bytes());
  }
}

export function etagOfBytes(bytes: Uint8Array): ETag {
  return `"${hash('md5', bytes, 'hex')}"` as ETag;
}

function writtenInfo(key: string, { etag, writtenAt, sizeBytes }: Written): ObjectInfo {
  return { key: key as Key, sizeBytes, etag, lastModified: writtenAt };
}
