// Small objects in a bucket that were read before, such as tags. Each read is a request all the same; while the object has not changed, its
// response has no body, which is less work for the server and for the client.
import { LruCache } from '../model/lru-cache.ts';
import { KiB, MiB } from '../streams/bytes.ts';
import type { ReadObject } from './driver.ts';

const MAX_BYTES = 4 * MiB;
const MAX_OBJECT_BYTES = 16 * KiB;
/** What an entry takes up beside the bytes of its object. */
const ENTRY_BYTES = KiB;
/**
 * The time of an object has a resolution of a second. Of an object that is older than this, no later write has the same time. ETag and time
 * then identify a write: the ETag alone does not, as MD5 collisions can be made.
 */
const MIN_AGE_MILLISECONDS = 2000;

export class KeptObjects {
  readonly #objects = new LruCache<string, ReadObject>({
    maxBytes: MAX_BYTES,
    bytesOf: ({ bytes }) => bytes.length + ENTRY_BYTES,
  });

  get(key: string): ReadObject | undefined {
    return this.#objects.get(key);
  }

  /** @param date of the response, by the clock of the server */
  keep(key: string, object: ReadObject, date: string | undefined): void {
    const { etag, lastModified } = object.info;
    const isOld = Date.parse(date ?? '') - lastModified.getTime() >= MIN_AGE_MILLISECONDS;
    if (isOld && object.bytes.length <= MAX_OBJECT_BYTES && etag.startsWith('"')) this.#objects.set(key, object);
    else this.drop(key);
  }

  drop(key: string): void {
    this.#objects.delete(key);
  }
}

/** Whether a response says that the kept object is still there, and was not written again. */
export function isOfKept({ info }: ReadObject, headers: Readonly<Record<string, string>>): boolean {
  const { etag = info.etag, 'last-modified': lastModified = '' } = headers;
  return etag === info.etag && Date.parse(lastModified) === info.lastModified.getTime();
}
