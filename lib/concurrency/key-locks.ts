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

/** For each key either any number of tasks that share it, or one that has it alone. */
export class SharedKeyLocks {
  readonly #turns = new KeyLocks();
  readonly #sharing = new Map<string, Set<Promise<unknown>>>();
  /** While a task has the key, or waits for those that share it: it comes before any that begin later. */
  readonly #alone = new Map<string, Promise<void>>();

  async share<T>(key: string, task: () => Promise<T>): Promise<T> {
    for (let alone = this.#alone.get(key); alone; alone = this.#alone.get(key)) await alone;
    const sharing = this.#sharing.get(key) ?? new Set();
    this.#sharing.set(key, sharing);
    const running = task();
    sharing.add(running);
    try {
      return await running;
    } finally {
      sharing.delete(running);
      if (sharing.size === 0 && this.#sharing.get(key) === sharing) this.#sharing.delete(key);
    }
  }

  async haveAlone<T>(key: string, task: () => Promise<T>): Promise<T> {
    return await this.#turns.run(key, async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#alone.set(key, promise);
      try {
        await Promise.allSettled(this.#sharing.get(key) ?? []);
        return await task();
      } finally {
        this.#alone.delete(key);
        resolve();
      }
    });
  }
}
