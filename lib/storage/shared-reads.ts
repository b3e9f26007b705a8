/** So many reads of one key are under way at once; who comes then shares the next one. */
const READS_AT_ONCE = 4;

type Reads<T> = { underWay: number; next?: { start: () => void; result: Promise<T> } };

/**
 * One read for all who want the same object at the same time, as when a fleet pulls one tag. Nobody gets what was read
 * before they asked: whoever comes while reads are under way waits for one that has yet to start. So what was
 * acknowledged before is always seen, as S3 promises it of every single read.
 */
export class SharedReads<T> {
  readonly #reads = new Map<string, Reads<T>>();

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
