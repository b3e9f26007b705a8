/** One task at a time for each key, in the order of the calls. */
export class KeyLocks {
  readonly #tails = new Map<string, Promise<void>>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const release = await this.acquire(key);
    try {
      return await task();
    } finally {
      release();
    }
  }

  /** Waits for its turn, and gives what ends it. */
  async acquire(key: string): Promise<() => void> {
    const before = this.#tails.get(key);
    const { promise: tail, resolve: release } = Promise.withResolvers<void>();
    this.#tails.set(key, tail);
    await before;
    return () => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
      release();
    };
  }
}

/** The lock of a key, taken in the middle of something, and given back at its end, whether it was taken by then or not. */
export class LateLock {
  readonly #locks: KeyLocks;
  readonly #key: string;
  #release: (() => void) | undefined;
  #hasEnded = false;

  constructor(locks: KeyLocks, key: string) {
    this.#locks = locks;
    this.#key = key;
  }

  /** @throws Error if it was given back meanwhile */
  async take(): Promise<void> {
    const release = await this.#locks.acquire(this.#key);
    if (this.#hasEnded) {
      release();
      throw new Error('what wanted the lock has ended while it waited');
    }
    this.#release = release;
  }

  release(): void {
    this.#hasEnded = true;
    this.#release?.();
  }
}
