const FIRST_ROWS = 64;
const ROWS_OF_CHUNK = 8192;

/** Rows of bytes of one width, by number. Beyond 8,192 rows none is copied when further ones are added. */
export class FixedRows {
  readonly #width: number;
  readonly #chunks: Buffer[] = [];
  count = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** @returns a new row of zeros */
  add(): Buffer {
    const [chunk, row] = [Math.floor(this.count / ROWS_OF_CHUNK), this.count % ROWS_OF_CHUNK];
    const before = this.#chunks[chunk];
    if (!before || row * this.#width === before.length) {
      const rows = before ? 2 * row : chunk === 0 ? FIRST_ROWS : ROWS_OF_CHUNK;
      const larger = Buffer.alloc(rows * this.#width);
      before?.copy(larger);
      this.#chunks[chunk] = larger;
    }
    return this.at(this.count++);
  }

  /** The row itself, not a copy. @throws RangeError if there is no such row */
  at(index: number): Buffer {
    const chunk = this.#chunks[Math.floor(index / ROWS_OF_CHUNK)];
    const start = (index % ROWS_OF_CHUNK) * this.#width;
    if (!chunk || start + this.#width > chunk.length) throw new RangeError(`no row ${index}`);
    return chunk.subarray(start, start + this.#width);
  }
}
