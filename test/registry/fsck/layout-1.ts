import type { Key, KeyPrefix } from '../../../lib/model/layout.ts';
import { digestOfImageBlob, layout, parseBlobRecord, parseRepositoryRecord } from '../../../lib/model/layout.ts';
import { algorithmOf, type Digest, hexOf } from '../../../lib/model/names.ts';
import { encodeBlobLink } from '../../../lib/registry/blobs/link.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';

const slashed = (digest: Digest) => `${algorithmOf(digest)}/${hexOf(digest)}`;
const plainKeyOf = (digest: Digest) => `oci/blobs/${slashed(digest)}` as Key;

/** Brings storage to what version 0.1.0 would have written: bytes at the key of their digest, no pointers, no markers. */
export async function toLayout1(storage: StorageDriver): Promise<void> {
  const moved = new Map<Key, Key>();
  const plain = new Map<Digest, Uint8Array>();
  const objects = await Array.fromAsync(storage.list('' as KeyPrefix));
  for (const { key } of objects) {
    const record = parseBlobRecord(key);
    if (record?.kind === 'copy') {
      const object = await storage.read(key);
      if (object) plain.set(record.digest, object.bytes);
      moved.set(key, plainKeyOf(record.digest));
      await storage.delete(key);
    } else if (record?.kind === 'pointer') {
      await storage.put(`oci/digests/${slashed(record.digest)}/${record.uuid}` as Key, new Uint8Array());
      await storage.delete(key);
    } else if (digestOfImageBlob(key) !== undefined || key.startsWith('oci/blobs/')) {
      await storage.delete(key);
    }
  }
  for (const [digest, bytes] of plain) await storage.put(plainKeyOf(digest), bytes);
  for (const { key } of objects) {
    const isLink = parseRepositoryRecord(key)?.kind === 'link';
    if (!isLink && !key.endsWith('/layer.json')) continue;
    const object = await storage.read(key);
    if (!object) continue;
    const value = JSON.parse(Buffer.from(object.bytes).toString()) as { key: Key; size: number };
    const to = moved.get(value.key);
    if (!to) continue;
    const changed = isLink
      ? encodeBlobLink({ sizeBytes: value.size, key: to })
      : Buffer.from(JSON.stringify({ ...value, key: to }));
    await storage.put(key, changed);
  }
  const [[digest] = []] = plain;
  if (digest) await storage.put(`oci/condemned/${slashed(digest)}` as Key, new Uint8Array());
  await storage.put('oci/repositories/team/app/condemned.json' as Key, Buffer.from('[]'));
  await storage.put(layout.layoutVersion(), Buffer.from('{"layout":1,"minWriter":1}'));
}
