import { type Bytes, readAll } from '../bytes.ts';
import type { Key } from '../layout.ts';
import type { ObjectInfo, StorageDriver } from './driver.ts';

/** A small object with its content in memory. One storage request. `undefined` if there is none. */
export async function readObject(
  storage: StorageDriver,
  key: Key,
): Promise<{ bytes: Bytes; info: ObjectInfo } | undefined> {
  const object = await storage.get(key);
  return object && { bytes: await readAll(object.body), info: object.info };
}
