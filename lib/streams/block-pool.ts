import { MiB } from './bytes.ts';

/** Large enough that the cost of a call for each block does not matter. */
export const BLOCK_BYTES = MiB;

/** Unused blocks that stay allocated: what two uploads hold. */
const MAX_IDLE = 48;

/**
 * Memory for bytes that pass through this process, in blocks of one size. A block that is given back is used again; one that
 * is not is freed by the garbage collector. So a transfer allocates no memory, and its pages are mapped once.
 */
export class BlockPool {
  readonly #maxIdle: number;
  readonly #idle: Uint8Array[] = [];
  readonly #taken = new WeakSet<ArrayBufferLike>();

  constructor(maxIdle = MAX_IDLE) {
    this.#maxIdle = maxIdle;
  }

  /** How many blocks wait to be taken. */
  get idle(): number {
    return this.#idle.length;
  }

  /** A block, with any contents. */
  take(): Uint8Array {
    const block = this.#idle.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#taken.add(block.buffer);
    return block;
  }

  /**
   * Gives a block back: the caller and all that it was passed to have no more use for it.
   * @param bytes a taken block, or any part of one. Other memory, and a block that was given back before, are ignored
   */
  readonly giveBack = (bytes: Uint8Array): void => {
    const { buffer } = bytes;
    if (!(buffer instanceof ArrayBuffer) || !this.#taken.delete(buffer)) return;
    if (this.#idle.length < this.#maxIdle) this.#idle.push(new Uint8Array(buffer));
    else free(buffer);
  };

  /** Notes that the memory of a taken block has moved: it was transferred to a thread and has come back. */
  follow(before: ArrayBufferLike, after: Uint8Array): void {
    if (this.#taken.delete(before)) this.#taken.add(after.buffer);
  }
}

/** The blocks of this process. */
export const blockPool = new BlockPool();

/**
 * Frees memory at once. The garbage collector counts memory outside of V8's heap late, and would let it grow by some 100 MiB
 * during the push of a layer.
 */
export function free(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}
