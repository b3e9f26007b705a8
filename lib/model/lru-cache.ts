export type LruCacheOptions<V> = {
  /** How many entries it holds at most. Default: any number. */
  max?: number;
  /** How much all of its values may take up together; a larger value is not kept. Default: any amount. */
  maxBytes?: number;
  /** What a value takes up; needed with `maxBytes`. */
  bytesOf?: (value: V) => number;
  /** How long an entry counts, unless `set` says otherwise. Default: forever. */
  ttlMs?: number;
  /** The current time in ms. Default: a clock that no change of the system's time affects. */
  now?: () => number;
};

type Entry<V> = { value: V; expiresAtMs: number; bytes: number };

/** A map of limited size, which drops the entries that have not been used for longest. An empty one takes no memory. */
export class LruCache<K, V> {
  readonly #max: number;
  readonly #maxBytes: number;
  readonly #bytesOf: (value: V) => number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  /** A Map iterates in order of insertion: the entry used last is inserted last. */
  readonly #entries = new Map<K, Entry<V>>();
  readonly #loading = new Map<K, Promise<V>>();
  /** The entry that was used last. It has its place, and to insert it again costs memory. */
  #newest: K | undefined;
  #bytes = 0;

  constructor({
    max = Number.POSITIVE_INFINITY,
    maxBytes = Number.POSITIVE_INFINITY,
    bytesOf = () => 0,
    ttlMs = Number.POSITIVE_INFINITY,
    now = () => performance.now(),
  }: LruCacheOptions<V>) {
    this.#max = max;
    this.#maxBytes = maxBytes;
    this.#bytesOf = bytesOf;
    this.#ttlMs = ttlMs;
    this.#now = now;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    if (entry.expiresAtMs < this.#now()) {
      this.delete(key);
      return undefined;
    }
    if (key !== this.#newest) {
      this.#entries.delete(key);
      this.#insert(key, entry);
    }
    return entry.value;
  }

  /** Does not count as a use. */
  has(key: K): boolean {
    return this.remainingMs(key) >= 0;
  }

  /** Whether an entry is held, expired or not. Does not count as a use. */
  holds(key: K): boolean {
    return this.#entries.has(key);
  }

  /** Negative where the entry has expired, or there is none. Does not count as a use. */
  remainingMs(key: K): number {
    const entry = this.#entries.get(key);
    return entry ? entry.expiresAtMs - this.#now() : Number.NEGATIVE_INFINITY;
  }

  set(key: K, value: V, { ttlMs = this.#ttlMs }: { ttlMs?: number } = {}): void {
    this.delete(key);
    const bytes = this.#bytesOf(value);
    if (bytes > this.#maxBytes) return;
    this.#insert(key, { value, expiresAtMs: this.#now() + ttlMs, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max && this.#bytes <= this.#maxBytes) return;
      this.#drop(oldest);
    }
  }

  /** @returns whether there was an entry */
  delete(key: K): boolean {
    this.#loading.delete(key);
    return this.#drop(key);
  }

  /**
   * The value; if there is none, that of `load`, which simultaneous callers share. A failure is not kept, nor a value whose key is
   * deleted or set while it loads.
   */
  async fetch(key: K, load: () => Promise<V>): Promise<V> {
    const known = this.get(key);
    if (known !== undefined) return known;
    const underWay = this.#loading.get(key);
    if (underWay !== undefined) return await underWay;
    const loading = load();
    this.#loading.set(key, loading);
    try {
      const value = await loading;
      if (this.#loading.get(key) === loading) this.set(key, value);
      return value;
    } finally {
      if (this.#loading.get(key) === loading) this.#loading.delete(key);
    }
  }

  #insert(key: K, entry: Entry<V>): void {
    this.#entries.set(key, entry);
    this.#newest = key;
  }

  #drop(key: K): boolean {
    if (key === this.#newest) this.#newest = undefined;
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    return this.#entries.delete(key);
  }
}
