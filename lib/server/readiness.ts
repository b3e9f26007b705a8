import { layout } from '../model/layout.ts';
import { type StorageDriver, StorageFullError } from '../storage/driver.ts';

/** Time limit for an answer of storage. */
const READY_MS = 2000;
/** Lifetime of the answer about free space, which may cost a write. */
const ROOM_IS_KNOWN_MS = 2000;

/** The state of storage for `/readyz`. */
export class Readiness {
  readonly #storage: StorageDriver;
  #room: Promise<string | undefined> | undefined;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** Whether storage answers in time. One storage request. */
  async answers(): Promise<boolean> {
    return await within(
      this.#storage.head(layout.layoutVersion()).then(() => true),
      () => false,
    );
  }

  /** Why storage takes no writes; `undefined` if it does. At most one probe every two seconds, however many callers. */
  async roomProblem(): Promise<string | undefined> {
    this.#room ??= this.#findRoomProblem();
    return await this.#room;
  }

  async #findRoomProblem(): Promise<string | undefined> {
    const room = this.#storage.checkRoom?.() ?? Promise.resolve();
    const problem = await within(
      room.then(() => undefined),
      (error) => (error instanceof StorageFullError ? 'no space left in the storage' : 'storage takes no writes now'),
    );
    setTimeout(() => (this.#room = undefined), ROOM_IS_KNOWN_MS).unref();
    return problem;
  }
}

async function within<T>(promise: Promise<T>, otherwise: (error: unknown) => T): Promise<T> {
  const { promise: late, resolve } = Promise.withResolvers<T>();
  const timer = setTimeout(() => resolve(otherwise(new Error('too slow'))), READY_MS);
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    return otherwise(error);
  } finally {
    clearTimeout(timer);
  }
}
