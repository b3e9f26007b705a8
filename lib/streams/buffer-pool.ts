import { closedError } from './byte-source.ts';
import { KiB, MiB } from './bytes.ts';

/** Large enough that the cost of a system call does not matter. */
export const BUFFER_BYTES = 256 * KiB;

/** How much unused memory is kept. More buffers are in use while more transfers run. */
const MAX_IDLE = (16 * MiB) / BUFFER_BYTES;

const idle: Buffer[] = [];

function take(): Buffer {
  return idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

function give(buffer: Buffer): void {
  if (idle.length < MAX_IDLE) idle.push(buffer);
}

/** The buffers of one transfer, of `BUFFER_BYTES` each, which it returns to the pool of this process. */
export class Buffers {
  readonly #max: number;
  #taken = 0;
  #isClosed = false;
  #waiting: { resolve: (buffer: Buffer) => void; reject: (error: Error) => void } | undefined;

  /** @param max how many it holds at most */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether `take` would not wait. */
  get hasFree(): boolean {
    return this.#taken < this.#max;
  }

  /** A buffer, once one is free. One caller waits at a time. @throws Error after `close` */
  async take(): Promise<Buffer> {
    if (this.#isClosed) throw closedError();
    if (!this.hasFree) return await new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
    return this.takeNow();
  }

  /** A buffer at once, also beyond the maximum: for bytes that arrive although reading has paused, as TLS hands on what it holds. */
  takeNow(): Buffer {
    this.#taken++;
    return take();
  }

  /** Returns a buffer that no read or write uses any more. */
  give(buffer: Buffer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting.resolve(buffer);
    else {
      this.#taken--;
      give(buffer);
    }
  }

  /** Makes a waiting `take` fail. Buffers that are taken can still be given back. */
  close(): void {
    this.#isClosed = true;
    this.#waiting?.reject(closedError());
    this.#waiting = undefined;
  }
}
