import type { Key } from '../../lib/model/layout.ts';
import type { ObjectInfo, StorageDriver } from '../../lib/storage/driver.ts';
import { alterDriver } from './altered-driver.ts';

/**
 * Storage whose clock a test sets forward, so that no test waits, and none depends on how long its own steps take. Each object
 * has the `lastModified` that storage gives it, plus what the test had let pass when it was written.
 */
export class StorageClock {
  /** The storage. All writes have to go through this driver. */
  readonly driver: StorageDriver;
  readonly #passedAtWrite = new Map<Key, number>();
  #passedMs = 0;

  constructor(driver: StorageDriver) {
    this.driver = alterDriver(driver, (original) => ({
      head: async (key) => this.#infoOf(await original.head(key)),
      get: async (key, options) => this.#objectOf(await original.get(key, options)),
      read: async (key) => this.#objectOf(await original.read(key)),
      list: (prefix, options) => this.#listed(original.list(prefix, options)),
      put: async (key, body, options) => this.#note(key, await original.put(key, body, options)),
      putStream: async (key, body, options) => this.#note(key, await original.putStream(key, body, options)),
      copyIfAbsent: async (from, to, options) => {
        const isCopied = await original.copyIfAbsent(from, to, options);
        // On disk such a copy has the time of the original.
        if (isCopied && options?.mayKeepTime) this.#passedAtWrite.set(to, this.#passedAtWrite.get(from) ?? 0);
        return options?.mayKeepTime ? isCopied : this.#note(to, isCopied);
      },
      completeMultipart: async (upload, parts) =>
        this.#note(upload.key, await original.completeMultipart(upload, parts)),
    }));
  }

  get now(): Date {
    return new Date(Date.now() + this.#passedMs);
  }

  pass(ms: number): void {
    this.#passedMs += ms;
  }

  #note<T>(key: Key, outcome: T): T {
    if (outcome) this.#passedAtWrite.set(key, this.#passedMs);
    return outcome;
  }

  #infoOf<T extends ObjectInfo | undefined>(info: T): T {
    const passedMs = info && this.#passedAtWrite.get(info.key);
    return info && passedMs ? { ...info, lastModified: new Date(info.lastModified.getTime() + passedMs) } : info;
  }

  #objectOf<T extends { info: ObjectInfo }>(object: T | undefined): T | undefined {
    return object && { ...object, info: this.#infoOf(object.info) };
  }

  async *#listed(objects: AsyncIterable<ObjectInfo>): AsyncGenerator<ObjectInfo> {
    for await (const object of objects) yield this.#infoOf(object);
  }
}
