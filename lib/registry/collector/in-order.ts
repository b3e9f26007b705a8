import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ObjectInfo } from '../../storage/driver.ts';

/**
 * The same listing. The collector takes what a listing lacks for absent, and ends what it knows of a folder where the next one
 * begins, so it must not work with a listing that repeats a page.
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
