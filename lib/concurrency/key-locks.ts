/** Runs one task at a time for each key, in the order of the calls. */
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

  /** Waits for the lock of `key`. @returns a function that releases it */
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

/** A lock that an operation acquires while it runs, if at all. At its end the operation calls `release` in any case. */
export class LateLock {
  readonly #locks: KeyLocks;
  readonly #key: string;
  #release: (() => void) | undefined;
  #hasEnded = false;

  constructor(locks: KeyLocks, key: string) {
    this.#locks = locks;
    this.#key = key;
  }

  /** Waits for the lock. @throws Error if the operation ends before */
  async acquire(): Promise<void> {
    const release = await this.#locks.acquire(this.#key);
    if (this.#hasEnded) {
      release();
      throw new Error(`the operation ended while it waited for the lock of ${this.#key}`);
    }
    this.#release = release;
  }

  release(): void {
    this.#hasEnded = true;
    this.#release?.();
  }
}

/** For each key either any number of `shared` tasks run, or one `exclusive` task. */
export type ReadWriteLocks = Pick<SharedKeyLocks, 'shared' | 'exclusive'>;

/** Read-write locks of one process. */
export class SharedKeyLocks {
  readonly #turns = new KeyLocks();
  readonly #sharing = new Map<string, Set<Promise<unknown>>>();
  /** Settles when the exclusive task of a key has ended. Shared tasks that begin after it wait for it, even if it waits itself. */
  readonly #exclusive = new Map<string, Promise<void>>();

  async shared<T>(key: string, task: () => Promise<T>): Promise<T> {
    for (let other = this.#exclusive.get(key); other; other = this.#exclusive.get(key)) await other;
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

  async exclusive<T>(key: string, task: () => Promise<T>): Promise<T> {
    return await this.#turns.run(key, async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#exclusive.set(key, promise);
      try {
        await Promise.allSettled(this.#sharing.get(key) ?? []);
        return await task();
      } finally {
        this.#exclusive.delete(key);
        resolve();
      }
    });
  }
}
