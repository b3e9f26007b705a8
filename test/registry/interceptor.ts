import type { Key } from '../../lib/model/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { alterDriver } from '../storage/altered-driver.ts';

type InterceptedMethod = 'put' | 'delete' | 'completeMultipart';
type Interception = { method: InterceptedMethod; matches: (key: Key) => boolean; act: () => Promise<unknown> };

/**
 * A driver that records reads and writes. A test can act right before a chosen call, as another process might at that moment.
 */
export class Interceptor {
  readonly driver: StorageDriver;
  /** Keys of written objects, in the order of the writes. */
  readonly written: Key[] = [];
  /** Keys of read objects. */
  readonly reads: Key[] = [];
  readonly #waiting = new Set<Interception>();

  constructor(driver: StorageDriver) {
    this.driver = alterDriver(driver, (original) => ({
      put: async (key, body, options) => {
        await this.#intercept('put', key);
        return this.#note(key, await original.put(key, body, options));
      },
      read: async (key) => {
        this.reads.push(key);
        return await original.read(key);
      },
      putStream: async (key, body, options) => this.#note(key, await original.putStream(key, body, options)),
      copyIfAbsent: async (from, to, options) => this.#note(to, await original.copyIfAbsent(from, to, options)),
      completeMultipart: async (upload, parts) => {
        await this.#intercept('completeMultipart', upload.key);
        return this.#note(upload.key, await original.completeMultipart(upload, parts));
      },
      delete: async (key, options) => {
        await this.#intercept('delete', key);
        return await original.delete(key, options);
      },
    }));
  }

  /** Runs `act` once, right before the first call of the method with a matching key. */
  before(method: InterceptedMethod, matches: (key: Key) => boolean, act: () => Promise<unknown>): void {
    this.#waiting.add({ method, matches, act });
  }

  async #intercept(method: InterceptedMethod, key: Key): Promise<void> {
    for (const interception of this.#waiting) {
      if (interception.method !== method || !interception.matches(key)) continue;
      this.#waiting.delete(interception);
      await interception.act();
    }
  }

  #note<T>(key: Key, outcome: T): T {
    if (outcome) this.written.push(key);
    return outcome;
  }
}
