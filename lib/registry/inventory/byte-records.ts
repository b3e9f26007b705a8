const FIRST_CHUNK_BYTES = 4096;
const MAX_CHUNK_BYTES = 1024 * 1024;
const LENGTH_BYTES = 4;

/** Records of bytes by number. Each takes 12 bytes more than its length. */
export class ByteRecords {
  readonly #chunks: Buffer[] = [];
  #usedBytes = 0;
  /** For each record the number of its chunk, and where it begins in it. */
  #places = new Uint32Array(2 * 64);
  #count = 0;

  /** @returns its number: they count from 0 */
  add(record: Uint8Array): number {
    const sizeBytes = LENGTH_BYTES + record.length;
    let chunk = this.#chunks.at(-1);
    if (!chunk || this.#usedBytes + sizeBytes > chunk.length) {
      const next = Math.min(2 * (chunk?.length ?? FIRST_CHUNK_BYTES / 2), MAX_CHUNK_BYTES);
      chunk = Buffer.alloc(Math.max(next, sizeBytes));
      this.#chunks.push(chunk);
      this.#usedBytes = 0;
    }
    if (2 * this.#count === this.#places.length) {
      const places = new Uint32Array(2 * this.#places.length);
      places.set(this.#places);
      this.#places = places;
    }
    this.#places[2 * this.#count] = this.#chunks.length - 1;
    this.#places[2 * this.#count + 1] = this.#usedBytes;
    chunk.writeUInt32LE(record.length, this.#usedBytes);
    chunk.set(record, this.#usedBytes + LENGTH_BYTES);
    this.#usedBytes += sizeBytes;
    return this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws RangeError if there is no such record */
  at(index: number): Buffer {
    const chunk = index < this.#count ? this.#chunks[this.#places[2 * index] ?? 0] : undefined;
    if (!chunk) throw new RangeError(`no record ${index}`);
    const start = (this.#places[2 * index + 1] ?? 0) + LENGTH_BYTES;
    return chunk.subarray(start, start + chunk.readUInt32LE(start - LENGTH_BYTES));
  }
}
