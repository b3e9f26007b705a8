import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { GONE_BYTES, isGone } from '../condemned/gone.ts';

/** Whether a listed object counts as absent. One storage request for an object of the size of a gone form, none for others. */
export async function isAbsentAsListed(storage: StorageDriver, { key, sizeBytes }: ObjectInfo): Promise<boolean> {
  if (sizeBytes !== GONE_BYTES) return false;
  const object = await storage.read(key);
  return !object || isGone(object.bytes);
}
