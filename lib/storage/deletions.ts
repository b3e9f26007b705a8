import { mapConcurrently } from '../concurrency/map-concurrently.ts';
import type { Key } from '../model/layout.ts';
import type { Deletion, ReadObject, StorageDriver } from './driver.ts';

/** `StorageDriver.deleteIf`; for a driver without it, one `read` and one `delete` with `ifMatch`. */
export async function deleteIf(
  storage: Pick<StorageDriver, 'read' | 'delete' | 'deleteIf'>,
  key: Key,
  isWanted: (object: ReadObject) => boolean,
): Promise<Deletion> {
  if (storage.deleteIf) return await storage.deleteIf(key, isWanted);
  const object = await storage.read(key);
  if (!object) return 'absent';
  if (!isWanted(object)) return 'unwanted';
  return (await storage.delete(key, { ifMatch: object.info.etag })) ? 'deleted' : 'changed';
}

/** `StorageDriver.deleteMany`; for a driver without it, and for a single object, one `delete` for each. */
export async function deleteMany(
  storage: Pick<StorageDriver, 'delete' | 'deleteMany'>,
  keys: readonly Key[],
): Promise<void> {
  if (storage.deleteMany && keys.length > 1) await storage.deleteMany(keys);
  else await mapConcurrently(keys, (key) => storage.delete(key));
}
