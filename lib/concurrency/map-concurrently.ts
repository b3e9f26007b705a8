import { RegistryError } from '../model/errors.ts';

/** How many storage requests one operation keeps under way at once. */
const REQUESTS_AT_ONCE = 16;

/** Like `Promise.all(items.map(run))`, with a bounded number under way; results in the order of the items. Begins no more after a failure. */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  run: (item: T) => Promise<R>,
  atOnce = REQUESTS_AT_ONCE,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const queue = items.entries();
  let hasFailed = false;
  const work = async () => {
    for (const [index, item] of queue) {
      if (hasFailed) return;
      try {
        results[index] = await run(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return results;
}

/** Runs so many tasks at once; later ones wait, first come, first served. */
export class Slots {
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor({ atOnce, maxWaiting }: { atOnce: number; maxWaiting: number }) {
    this.#free = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws RegistryError UNAVAILABLE if too many wait already; then nothing has been done */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#wait();
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }

  async #wait(): Promise<void> {
    if (this.#waiting.length >= this.#maxWaiting) {
      throw new RegistryError('UNAVAILABLE', 'too many layers are to be unpacked at once, try again', {
        headers: { 'Retry-After': '30' },
      });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
