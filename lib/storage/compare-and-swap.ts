import type { Key } from '../model/layout.ts';
import { StorageUnavailableError } from './driver.ts';

/** An attempt fails only if another change has succeeded, so this is enough for 20 changes at once. */
const MAX_ATTEMPTS = 20;

/**
 * Changes an object that several processes may change at once: reads it, writes it on the condition that it is still the one
 * that was read (`unchanged`), and starts again where another process has written in between. Each attempt costs the storage
 * requests of `read` and `write`.
 * @param key the object, for the message of the error
 * @param options.read what the object is now
 * @param options.write writes on condition. `undefined` if the condition did not hold; anything else ends the loop, also where
 *   there was nothing to write
 * @param options.first what the caller has read already, for the first attempt
 * @returns what `write` returned
 * @throws StorageUnavailableError after 20 attempts: clients get 503 and try again
 */
export async function compareAndSwap<Before, Written>(
  key: Key,
  {
    read,
    write,
    first,
  }: {
    read: () => Promise<Before>;
    write: (before: Before) => Promise<Written | undefined>;
    first?: { before: Before };
  },
): Promise<Written> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const written = await write(attempt === 1 && first ? first.before : await read());
    if (written !== undefined) return written;
  }
  throw new StorageUnavailableError(`${key} changed during each of ${MAX_ATTEMPTS} attempts to write it`);
}
