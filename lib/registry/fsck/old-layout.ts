// Layout 1, of version 0.1.0: bytes at `oci/blobs/<algorithm>/<hex>` itself, `oci/digests/<algorithm>/<hex>/<uuid>` in place of
// pointers, and marks of condemned bytes that nothing reads any more. A repair brings it to layout 2, while no process of version
// 0.1.0 runs. It can be interrupted and repeated at any point.
import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type KeyPrefix, lastPartOf, layout } from '../../model/layout.ts';
import { type Digest, type ImageId, isDigest } from '../../model/names.ts';
import { AS_JSON, type ObjectInfo } from '../../storage/driver.ts';
import { encodeBlobLink } from '../blobs/link.ts';
import { recordLayout } from '../condemned/layout-record.ts';
import { nameOfDigest } from '../inventory/digest-folders.ts';
import type { ResolvedLink } from '../inventory/link-targets.ts';
import { moveLayer } from '../v1-images/layers.ts';
import type { Check, DigestUser } from './check.ts';

const DIGESTS = 'oci/digests/' as KeyPrefix;
const CONDEMNED = 'oci/condemned/' as KeyPrefix;

export const LAYOUT_1_FOLDERS = [DIGESTS, CONDEMNED];

/** Checks the layout record. The first check: a repair raises the oldest version that may write before it changes anything. */
export async function checkLayoutRecord(check: Check): Promise<void> {
  const { storage, findings } = check;
  const key = layout.layoutVersion();
  const object = await storage.read(key);
  const value = object && parseJson(object.bytes);
  if (!object) {
    if (!(await hasRecords(check))) return;
    await findings.add('no-layout-record', key, 'it is missing', {
      action: 'write it',
      run: () => recordLayout(storage),
    });
  } else if (!isJsonObject(value) || typeof value.minWriter !== 'number') {
    await findings.add('bad-layout-record', key, 'it has no number minWriter');
  } else if (value.minWriter < 2) {
    check.isOfLayout1 = true;
    await findings.add('old-layout', key, `programs of layout ${value.minWriter} may write`, {
      action: 'record layout 2',
      run: () => recordLayout(storage),
    });
  }
}

async function hasRecords({ storage }: Check): Promise<boolean> {
  for await (const _ of storage.list('oci/' as KeyPrefix)) return true;
  return false;
}

/** The list of condemned links in a repository. @returns false if the object is something else */
export async function checkOfLayout1({ storage, findings }: Check, { key }: ObjectInfo): Promise<boolean> {
  if (!/^oci\/repositories\/[^/]+\/[^/]+\/condemned\.json$/.test(key)) return false;
  await findings.add('old-layout', key, 'nothing reads it', { action: 'delete it', run: () => storage.delete(key) });
  return true;
}

/**
 * Moves bytes away from the key that is a folder in layout 2, where on disk, and on some servers, an object of this key prevents
 * that anything is stored in the folder: a copy within storage, then links and descriptors that name it, then the old key is
 * deleted, and the pointer is written. In storage with MD5 ETags, a link is rewritten on its ETag.
 */
export async function moveOldBytes(
  check: Check,
  plain: ObjectInfo,
  { digest, links, users }: { digest: Digest; links: readonly ResolvedLink[]; users: readonly DigestUser[] },
): Promise<void> {
  const { storage, findings } = check;
  const { key, sizeBytes } = plain;
  const run = async () => {
    const uuid = randomUUID();
    const to = layout.data(uuid);
    if (!(await storage.copyIfAbsent(key, to))) return false;
    const naming = links.filter(({ target }) => target?.key === key);
    const moved = await mapConcurrently(naming, async ({ repository, etag }) => {
      const link = encodeBlobLink({ sizeBytes, key: to });
      return await storage.put(layout.blobLink(repository, digest), link, { ...AS_JSON, ifMatch: etag });
    });
    for (const user of users) if (user.kind === 'marker') await moveLayer(storage, user.image as ImageId, key, to);
    const copy = await storage.head(to);
    if (moved.includes(undefined) || copy?.sizeBytes !== sizeBytes) return false;
    await storage.delete(key, { ifMatch: plain.etag });
    await storage.put(layout.blobPointer(digest, uuid, sizeBytes), new Uint8Array());
    await check.dataUsers.add(uuid, { kind: 'pointer', digest, sizeBytes, isMarked: false, isLinked: true });
    return true;
  };
  await findings.add('old-layout', key, `${sizeBytes} bytes`, { action: 'move them to oci/data/', run });
}

const DIGEST_MARKER = /^oci\/digests\/(sha256|sha512)\/([a-f0-9]+)\/([a-f0-9-]{36})$/;

/** What took the place of pointers and marks. After `checkBlobs`, which makes room for pointers. */
export async function checkOldRecords(check: Check): Promise<void> {
  const { storage, findings } = check;
  for await (const object of storage.list(DIGESTS)) {
    const { key } = check.see(object);
    const [, algorithm, hex, uuid] = DIGEST_MARKER.exec(key) ?? [];
    const digest = `${algorithm}:${hex}` as Digest;
    if (uuid === undefined || !isDigest(digest)) {
      await check.unknown(object);
      continue;
    }
    await findings.add('old-layout', key, `${nameOfDigest(digest)} is in oci/data/${uuid}`, {
      action: 'write a pointer in its place',
      run: async () => {
        const data = await storage.head(layout.data(lastPartOf(key)));
        if (data) await storage.put(layout.blobPointer(digest, uuid, data.sizeBytes), new Uint8Array());
        return await storage.delete(key);
      },
    });
  }
  for await (const object of storage.list(CONDEMNED)) {
    const { key } = check.see(object);
    await findings.add('old-layout', key, 'nothing reads it', { action: 'delete it', run: () => storage.delete(key) });
  }
}
