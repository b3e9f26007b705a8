import { KiB } from '../streams/bytes.ts';
import type { Pace } from './slot.ts';

/** Less than the 60 s after which load balancers end a connection on which no byte moves. */
export const WAIT_MS = 30_000;

/** How many requests wait at most. A waiting connection takes some 30 KiB. */
export const MAX_WAITING = 4096;

/** With this pace a stalled client is cut off before those that wait for it have waited for `WAIT_MS`. */
export const PACE: Pace = { minBytesPerSecond: 8 * KiB, stallMs: 15_000 };

/** How often stalled clients are looked for. */
const CHECK_MS = 1000;

/** The client may send the request again after 5 s. */
export const RETRY = { headers: { 'Retry-After': '5' } };

export type WaitOptions = {
  /** How long a request waits. Default: 30 s. */
  waitMs?: number;
  /** A client that is slower is cut off when other requests wait for what it holds. Default: 8 KiB/s, 15 s of silence. */
  pace?: Pace;
};

/** The requests that wait for one limit. While there are any, `cutOffStalled` is called every second. */
export class WaitingRequests {
  readonly pace: Pace;
  readonly #waitMs: number;
  readonly #cutOffStalled: () => void;
  #count = 0;
  #checks: NodeJS.Timeout | undefined;

  constructor({ waitMs = WAIT_MS, pace = PACE }: WaitOptions, cutOffStalled: () => void) {
    this.pace = pace;
    this.#waitMs = waitMs;
    this.#cutOffStalled = cutOffStalled;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Waits until the limit calls `start`.
   * @param options.enter puts `start` into the limit's queue, and returns what removes it from there
   * @param options.refusal the error to throw after `waitMs`
   * @param options.signal aborts when the client goes away; the wait then fails
   * @returns what `start` was called with
   */
  wait<T>(options: {
    enter: (start: (result: T) => void) => () => void;
    refusal: () => Error;
    signal?: AbortSignal | undefined;
  }): Promise<T> {
    const { enter, refusal, signal } = options;
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        remove();
        this.#count--;
        if (this.#count === 0) this.#stopChecks();
      };
      const start = (result: T) => {
        leave();
        resolve(result);
      };
      const fail = (error: Error) => {
        leave();
        reject(error);
      };
      const onAbort = () => fail(new Error('the client went away', { cause: signal?.reason }));
      const timer = setTimeout(() => fail(refusal()), this.#waitMs);
      const remove = enter(start);
      this.#count++;
      this.#checks ??= setInterval(this.#cutOffStalled, Math.min(CHECK_MS, this.pace.stallMs / 4)).unref();
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #stopChecks(): void {
    clearInterval(this.#checks);
    this.#checks = undefined;
  }
}
