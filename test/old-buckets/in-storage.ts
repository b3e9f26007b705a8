import { createHash } from 'node:crypto';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { readAll } from '../../lib/streams/bytes.ts';

/** Writes the objects of a bucket with boto's content type. */
export async function storeBucket(
  driver: StorageDriver,
  { objects }: { objects: ReadonlyMap<string, Uint8Array> },
): Promise<void> {
  await mapConcurrently([...objects], async ([key, content]) => {
    await driver.put(key as Key, content, { contentType: 'application/octet-stream' });
  });
}

/** The SHA-256 of every object below `prefix`, by key, to check that nothing has changed. */
export async function hashAll(driver: StorageDriver, prefix = ''): Promise<Map<string, string>> {
  const infos = await Array.fromAsync(driver.list(prefix as KeyPrefix));
  const hashes = await mapConcurrently(infos, async ({ key }) => {
    const object = await driver.get(key);
    if (!object) throw new Error(`${key} was listed but is missing`);
    return [key as string, sha256Of(await readAll(object.body))] as const;
  });
  return new Map(hashes);
}

/** The result of `hashAll` for a bucket that is stored unchanged. */
export function hashesOf({ objects }: { objects: ReadonlyMap<string, Uint8Array> }): Map<string, string> {
  return new Map([...objects].map(([key, content]) => [key, sha256Of(content)]));
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
