import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ObjectInfo } from '../../storage/driver.ts';

/**
 * The same listing. What a listing lacks counts as absent, and what is known of a folder ends where the next one begins, so no
 * program that goes through all of storage may work with a listing that repeats a page.
 * @throws Error if a key does not come after the one before it
 */
export async function* inOrder(listing: AsyncIterable<ObjectInfo>): AsyncGenerator<ObjectInfo, undefined> {
  let last: string | undefined;
  for await (const object of listing) {
    if (last !== undefined && compareByteOrder(object.key, last) <= 0) {
      throw new Error(`storage lists ${object.key} after ${last}`);
    }
    last = object.key;
    yield object;
  }
  return undefined;
}
