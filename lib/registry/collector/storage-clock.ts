import { randomUUID } from 'node:crypto';
import { layout } from '../../model/layout.ts';
import type { StorageDriver } from '../../storage/driver.ts';

/** The time by the clock of storage, which it tells only of what is written. Three storage requests. */
export async function readStorageClock(storage: StorageDriver): Promise<Date> {
  const key = layout.collectorPart(randomUUID());
  await storage.put(key, new Uint8Array());
  const written = await storage.head(key);
  await storage.delete(key);
  if (!written) throw new Error(`${key} was removed right after it was written`);
  return written.lastModified;
}
