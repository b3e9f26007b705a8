// The body of a request to Node's server in large blocks, without web streams in between.
import type { IncomingMessage } from 'node:http';
import { type BlockPool, blockPool, free } from '../streams/block-pool.ts';

/** Shorter bodies come in the chunks in which they arrive, as a block for each would take more memory than they do. */
const SMALL_BYTES = 64 * 1024;

/**
 * Reads a body, a block ahead of the reader. A reader that stops early leaves the rest unread, and the connection open.
 * @param onBytes is called with the number of bytes of each chunk that arrives
 * @returns the body in blocks of the pool, of which only the last is not full. The reader may give them back
 * @throws (in the iterator) Error if the client goes away before the body has ended
 */
export function requestBlocks(
  incoming: IncomingMessage,
  onBytes: (sizeBytes: number) => void,
  pool: BlockPool = blockPool,
): AsyncIterableIterator<Uint8Array> {
  return new RequestBlocks(incoming, onBytes, pool);
}

class RequestBlocks implements AsyncIterableIterator<Uint8Array> {
  readonly #incoming: IncomingMessage;
  readonly #onBytes: (sizeBytes: number) => void;
  readonly #pool: BlockPool;
  readonly #isSmall: boolean;
  /** What has arrived and can be read. */
  readonly #ready: Uint8Array[] = [];
  #block: Uint8Array | undefined;
  #filledBytes = 0;
  #end: { error?: Error } | undefined;
  #isListening = false;
  #wake: (() => void) | undefined;

  constructor(incoming: IncomingMessage, onBytes: (sizeBytes: number) => void, pool: BlockPool) {
    this.#incoming = incoming;
    this.#onBytes = onBytes;
    this.#pool = pool;
    this.#isSmall = Number(incoming.headers['content-length'] ?? Infinity) <= SMALL_BYTES;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#listen();
    for (;;) {
      const value = this.#ready.shift();
      if (value) return { done: false, value };
      if (this.#end?.error) throw this.#end.error;
      if (this.#end) return { done: true, value: undefined };
      this.#incoming.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#isListening && !this.#end) this.#incoming.pause();
    this.#finish({});
    for (const block of this.#ready.splice(0)) this.#pool.giveBack(block);
    return { done: true, value: undefined };
  }

  #listen(): void {
    if (this.#isListening || this.#end) return;
    this.#isListening = true;
    const { readableEnded, destroyed, errored } = this.#incoming;
    if (readableEnded) this.#finish({});
    else if (destroyed) this.#finish({ error: errored ?? clientGone() });
    else this.#listenTo();
  }

  #listenTo(): void {
    this.#incoming
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('error', this.#onError)
      .on('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#onBytes(chunk.length);
    if (this.#isSmall) this.#ready.push(chunk);
    else this.#gather(chunk);
    if (this.#ready.length === 0) return;
    if (!this.#wake) this.#incoming.pause();
    this.#awaken();
  };

  #gather(chunk: Buffer): void {
    for (let start = 0; start < chunk.length; ) {
      this.#block ??= this.#pool.take();
      const copied = chunk.copy(this.#block, this.#filledBytes, start);
      start += copied;
      this.#filledBytes += copied;
      if (this.#filledBytes === this.#block.length) this.#passOn();
    }
    // Node makes a buffer for each chunk, and gives it to this listener alone.
    if (chunk.length === chunk.buffer.byteLength && chunk.buffer instanceof ArrayBuffer) free(chunk.buffer);
  }

  #passOn(): void {
    if (this.#block && this.#filledBytes > 0) this.#ready.push(this.#block.subarray(0, this.#filledBytes));
    this.#block = undefined;
    this.#filledBytes = 0;
  }

  readonly #onEnd = (): void => {
    this.#passOn();
    this.#finish({});
  };

  readonly #onError = (error: Error): void => this.#finish({ error });

  readonly #onClose = (): void => this.#finish({ error: clientGone() });

  #finish(end: { error?: Error }): void {
    if (this.#end) return;
    this.#end = end;
    this.#incoming
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onError)
      .off('close', this.#onClose);
    if (this.#block) this.#pool.giveBack(this.#block);
    this.#block = undefined;
    this.#awaken();
  }

  #awaken(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

function clientGone(): Error {
  return new Error('the client went away before the end of the body');
}
