import { concatBytes } from './bytes.ts';

/**
 * Reads a stream in pieces of the sizes that a format dictates. Holds the peeked bytes and one chunk of the source in memory.
 * Errors of the source are thrown as they are. A caller that stops before the end calls `close`.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #hasEnded = false;
  #positionBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** How many bytes have been taken so far. */
  get positionBytes(): number {
    return this.#positionBytes;
  }

  /** Takes the next `sizeBytes` bytes in one piece; fewer only at the end. */
  async read(sizeBytes: number): Promise<Uint8Array> {
    await this.#hold(sizeBytes);
    return this.#take(Math.min(sizeBytes, this.#heldBytes));
  }

  /** The bytes that `read` would take, without taking them. */
  async peek(sizeBytes: number): Promise<Uint8Array> {
    await this.#hold(sizeBytes);
    if (this.#held.length > 1) this.#held = [concatBytes(this.#held)];
    return (this.#held[0] ?? new Uint8Array()).subarray(0, sizeBytes);
  }

  /** Takes the next bytes without copying them, at most `atMostBytes`; `undefined` at the end. */
  async readSome(atMostBytes: number): Promise<Uint8Array | undefined> {
    await this.#hold(1);
    const [first] = this.#held;
    return first && this.#take(Math.min(atMostBytes, first.length));
  }

  /** Skips bytes. @returns how many were skipped: fewer than `sizeBytes` only at the end */
  async skip(sizeBytes: number): Promise<number> {
    let skippedBytes = 0;
    while (skippedBytes < sizeBytes) {
      const chunk = await this.readSome(sizeBytes - skippedBytes);
      if (!chunk) break;
      skippedBytes += chunk.length;
    }
    return skippedBytes;
  }

  /** The remaining bytes, in chunks. Closes the source at the end. */
  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = await this.readSome(Number.POSITIVE_INFINITY);
        if (!chunk) return;
        yield chunk;
      }
    } finally {
      await this.close();
    }
  }

  /** Ends the source. The reader gives no more bytes. */
  async close(): Promise<void> {
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#source.return?.();
  }

  async #hold(sizeBytes: number): Promise<void> {
    while (this.#heldBytes < sizeBytes && !this.#hasEnded) {
      const { done, value } = await this.#next();
      if (done) this.#hasEnded = true;
      else if (value.length > 0) {
        this.#held.push(value);
        this.#heldBytes += value.length;
      }
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#source.next();
    } catch (error) {
      this.#hasEnded = true;
      throw error;
    }
  }

  #take(sizeBytes: number): Uint8Array {
    this.#heldBytes -= sizeBytes;
    this.#positionBytes += sizeBytes;
    const pieces: Uint8Array[] = [];
    for (let wantedBytes = sizeBytes; wantedBytes > 0; ) {
      const [first = new Uint8Array()] = this.#held;
      const piece = first.subarray(0, wantedBytes);
      pieces.push(piece);
      wantedBytes -= piece.length;
      if (piece.length < first.length) this.#held[0] = first.subarray(piece.length);
      else this.#held.shift();
    }
    return concatBytes(pieces);
  }
}
