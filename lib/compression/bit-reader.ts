/** Reads bits, the highest bit of a byte first. After the end it reads zeros, and `isPastEnd` is true. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #position: number;

  constructor(bytes: Uint8Array, positionBits = 0) {
    this.#bytes = bytes;
    this.#position = positionBits;
  }

  get positionBits(): number {
    return this.#position;
  }

  get isPastEnd(): boolean {
    return this.#position > 8 * this.#bytes.length;
  }

  /** Reads at most 24 bits. */
  read(count: number): number {
    const bits = this.peek(count);
    this.#position += count;
    return bits;
  }

  /** The next bits, at most 24, without moving on. */
  peek(count: number): number {
    const at = this.#position >>> 3;
    const bytes = this.#bytes;
    const word =
      ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return (word << (this.#position & 7)) >>> (32 - count);
  }

  skip(count: number): void {
    this.#position += count;
  }
}
