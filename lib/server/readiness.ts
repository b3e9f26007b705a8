import { layout } from '../model/layout.ts';
import { type StorageDriver, StorageFullError } from '../storage/driver.ts';

/** How long storage may take. */
const READY_MS = 2000;
/** For so long an answer about room is good for everyone who asks: it may cost a write. */
const ROOM_IS_KNOWN_MS = 2000;

/** What `/readyz` wants to know of storage. */
export class Readiness {
  readonly #storage: StorageDriver;
  #room: Promise<string | undefined> | undefined;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** One storage request. */
  async answers(): Promise<boolean> {
    return await within(
      this.#storage.head(layout.layoutVersion()).then(() => true),
      () => false,
    );
  }

  /** Why nothing can be written, if so. At most one probe at a time, and one in two seconds. */
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
