// The gone form: what the collector writes, on the condition of the ETag, over the condemned form of an object in storage whose
// DELETE is not conditional. It is never deleted. Readers treat it as absent, and writers overwrite it.
import { randomUUID } from 'node:crypto';
import type { Key, KeyPrefix } from '../../model/layout.ts';
import type { ObjectInfo, ReadObject, StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';

const GONE = /^\{"gone":"[a-f0-9-]{36}"\}$/;

/** The size of every gone form. A live object of this size is read to tell the two apart. */
export const GONE_BYTES = 47;

/** A gone form. Its nonce gives it an ETag of its own. */
export function encodeGone(): Uint8Array {
  return encodeText(JSON.stringify({ gone: randomUUID() }));
}

/** Whether this object counts as absent. */
export function isGone(stored: Uint8Array): boolean {
  return stored.length === GONE_BYTES && GONE.test(decodeText(stored));
}

/** As `StorageDriver.read`, but `undefined` for a gone form. */
export async function readUnlessGone(storage: StorageDriver, key: Key): Promise<ReadObject | undefined> {
  const object = await storage.read(key);
  return object && !isGone(object.bytes) ? object : undefined;
}

/** As `StorageDriver.head`, but `undefined` for a gone form. One more storage request for an object of its size. */
export async function headUnlessGone(storage: StorageDriver, key: Key): Promise<ObjectInfo | undefined> {
  const info = await storage.head(key);
  return info?.sizeBytes === GONE_BYTES ? (await readUnlessGone(storage, key))?.info : info;
}

/** As `StorageDriver.list`, without gone forms. One more storage request for each object of their size. */
export async function* listUnlessGone(
  storage: StorageDriver,
  prefix: KeyPrefix,
  options: { after?: Key } = {},
): AsyncGenerator<ObjectInfo> {
  for await (const info of storage.list(prefix, options)) {
    const present = info.sizeBytes === GONE_BYTES ? (await readUnlessGone(storage, info.key))?.info : info;
    if (present) yield present;
  }
}
