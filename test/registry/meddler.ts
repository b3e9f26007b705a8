import type { Key } from '../../lib/model/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { alterDriver } from '../storage/altered-driver.ts';

type MeddledMethod = 'put' | 'delete' | 'completeMultipart';
type Meddling = { method: MeddledMethod; isMeant: (key: Key) => boolean; act: () => Promise<unknown> };

/**
 * A driver that remembers what was written through it, and in front of which a test does something at a chosen moment, as
 * another process might.
 */
export class Meddler {
  readonly driver: StorageDriver;
  /** Keys of all objects that came to be, in that order. */
  readonly written: Key[] = [];
  /** Keys that were read. */
  readonly read: Key[] = [];
  readonly #waiting = new Set<Meddling>();

  constructor(driver: StorageDriver) {
    this.driver = alterDriver(driver, (original) => ({
      put: async (key, body, options) => {
        await this.#meddle('put', key);
        return this.#note(key, await original.put(key, body, options));
      },
      read: async (key) => {
        this.read.push(key);
        return await original.read(key);
      },
      putStream: async (key, body, options) => this.#note(key, await original.putStream(key, body, options)),
      copyIfAbsent: async (from, to) => this.#note(to, await original.copyIfAbsent(from, to)),
      completeMultipart: async (upload, parts) => {
        await this.#meddle('completeMultipart', upload.key);
        return this.#note(upload.key, await original.completeMultipart(upload, parts));
      },
      delete: async (key, options) => {
        await this.#meddle('delete', key);
        return await original.delete(key, options);
      },
    }));
  }

  /** Once, right before the first call of this method for a key that is meant. */
  before(method: MeddledMethod, isMeant: (key: Key) => boolean, act: () => Promise<unknown>): void {
    this.#waiting.add({ method, isMeant, act });
  }

  async #meddle(method: MeddledMethod, key: Key): Promise<void> {
    for (const meddling of this.#waiting) {
      if (meddling.method !== method || !meddling.isMeant(key)) continue;
      this.#waiting.delete(meddling);
      await meddling.act();
    }
  }

  #note<T>(key: Key, outcome: T): T {
    if (outcome) this.written.push(key);
    return outcome;
  }
}
