/** How many reads of one key are under way at once. Further callers share the next one, and wait for half a read on average. */
export const READS_AT_ONCE = 2;

type Reads<T> = { underWay: number; next?: { start: () => void; result: Promise<T> } };

/**
 * Lets callers that read the same object at the same time share reads, as when a fleet of machines pulls one tag. A shared
 * read always starts after all of its callers have called, so each of them sees every write that was acknowledged before its
 * call, as with a read of its own.
 */
export class SharedReads<T> {
  readonly #reads = new Map<string, Reads<T>>();

  /** @param load reads the object of `key` */
  async read(key: string, load: () => Promise<T>): Promise<T> {
    const reads = this.#reads.get(key) ?? { underWay: 0 };
    this.#reads.set(key, reads);
    if (reads.underWay < READS_AT_ONCE) return await this.#load(key, reads, load);
    if (!reads.next) {
      const { promise, resolve } = Promise.withResolvers<void>();
      reads.next = { start: resolve, result: promise.then(() => this.#load(key, reads, load)) };
    }
    return await reads.next.result;
  }

  async #load(key: string, reads: Reads<T>, load: () => Promise<T>): Promise<T> {
    reads.underWay++;
    try {
      return await load();
    } finally {
      reads.underWay--;
      const { next } = reads;
      delete reads.next;
      if (next) next.start();
      else if (reads.underWay === 0) this.#reads.delete(key);
    }
  }
}
