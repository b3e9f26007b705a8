// What listings tell of the objects of one repository, packed: as JavaScript objects they would take some ten times as much memory.
import type { Key, KeyPrefix } from '../../model/layout.ts';
import type { Digest } from '../../model/names.ts';
import type { ETag, ObjectInfo } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { ByteRecords } from './byte-records.ts';
import { DigestSet } from './digest-set.ts';
import { FixedRows } from './fixed-rows.ts';

type ListedFacts = Omit<ObjectInfo, 'key'>;

const MD5 = /^"[a-f0-9]{32}"$/;
const MD5_BYTES = 16;
const SIZE_AT = MD5_BYTES;
const TIME_AT = SIZE_AT + 8;
const ROW_BYTES = TIME_AT + 8;

/** ETags, sizes and times by number, in 32 bytes for each. An ETag that is no MD5 takes some 100 more. */
class PackedFacts {
  readonly #rows = new FixedRows(ROW_BYTES);
  readonly #otherETags = new Map<number, ETag>();

  add(facts: ListedFacts): void {
    this.#rows.add();
    this.set(this.#rows.count - 1, facts);
  }

  set(index: number, { etag, sizeBytes, lastModified }: ListedFacts): void {
    const row = this.#rows.at(index);
    this.#otherETags.delete(index);
    if (MD5.test(etag)) row.write(etag.slice(1, -1), 'hex');
    else this.#otherETags.set(index, etag);
    row.writeDoubleLE(sizeBytes, SIZE_AT);
    row.writeDoubleLE(lastModified.getTime(), TIME_AT);
  }

  at(index: number): ListedFacts {
    const row = this.#rows.at(index);
    return {
      etag: this.#otherETags.get(index) ?? (`"${row.toString('hex', 0, MD5_BYTES)}"` as ETag),
      sizeBytes: row.readDoubleLE(SIZE_AT),
      lastModified: new Date(row.readDoubleLE(TIME_AT)),
    };
  }
}

/** An object of a listing. Its key, which most are not asked for, is made when it is. */
class PackedObject implements ObjectInfo {
  readonly etag: ETag;
  readonly sizeBytes: number;
  readonly lastModified: Date;
  readonly #keyOf: () => Key;

  constructor({ etag, sizeBytes, lastModified }: ListedFacts, keyOf: () => Key) {
    this.etag = etag;
    this.sizeBytes = sizeBytes;
    this.lastModified = lastModified;
    this.#keyOf = keyOf;
  }

  get key(): Key {
    return this.#keyOf();
  }
}

/** Objects with a digest in their keys, numbered in the order of their listing. */
export class ListedDigests {
  readonly #keyOf: (digest: Digest) => Key;
  readonly #digests = new DigestSet();
  readonly #facts = new PackedFacts();

  /** @param keyOf the key that was listed for a digest */
  constructor(keyOf: (digest: Digest) => Key) {
    this.#keyOf = keyOf;
  }

  /** @throws Error if the digest does not follow the last one */
  add(digest: Digest, facts: ListedFacts): void {
    this.#digests.add(digest);
    this.#facts.add(facts);
  }

  get size(): number {
    return this.#digests.size;
  }

  has(digest: Digest): boolean {
    return this.#digests.has(digest);
  }

  /** -1 for a digest that was not listed. */
  indexOf(digest: Digest): number {
    return this.#digests.indexOf(digest);
  }

  digestAt(index: number): Digest {
    return this.#digests.at(index);
  }

  infoAt(index: number): ObjectInfo {
    return new PackedObject(this.#facts.at(index), () => this.#keyOf(this.digestAt(index)));
  }

  /** What was found of it since the listing. */
  update(index: number, facts: ListedFacts): void {
    this.#facts.set(index, facts);
  }

  digests(): Iterable<Digest> {
    return this.#digests;
  }

  *indexes(): Generator<number> {
    for (let index = 0; index < this.size; index++) yield index;
  }
}

/** Objects below one prefix, numbered in the order of their listing. */
export class ListedObjects {
  readonly #prefix: KeyPrefix;
  readonly #names = new ByteRecords();
  readonly #facts = new PackedFacts();

  constructor(prefix: KeyPrefix) {
    this.#prefix = prefix;
  }

  /** @throws Error if the key does not begin with the prefix */
  add(object: ObjectInfo): void {
    if (!object.key.startsWith(this.#prefix)) throw new Error(`${object.key} is not below ${this.#prefix}`);
    this.#names.add(encodeText(object.key.slice(this.#prefix.length)));
    this.#facts.add(object);
  }

  get size(): number {
    return this.#names.count;
  }

  keyAt(index: number): Key {
    return `${this.#prefix}${this.#names.at(index)}` as Key;
  }

  at(index: number): ObjectInfo {
    return { key: this.keyAt(index), ...this.#facts.at(index) };
  }

  /** `undefined` for a key that was not listed. As `indexOf`. */
  find(key: Key): ObjectInfo | undefined {
    const index = this.indexOf(key);
    return index < 0 ? undefined : this.at(index);
  }

  /** -1 for a key that was not listed. The keys must have been added in byte order. */
  indexOf(key: Key): number {
    if (!key.startsWith(this.#prefix)) return -1;
    const name = Buffer.from(key.slice(this.#prefix.length));
    let [low, high] = [0, this.size];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = Buffer.compare(this.#names.at(middle), name);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  *[Symbol.iterator](): Generator<ObjectInfo> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }
}
