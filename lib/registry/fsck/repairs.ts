// Repairs. Each is one conditional write, so it does nothing where storage has changed since the finding, and none deletes bytes.
import { createHash } from 'node:crypto';
import { type Key, layout, parseImageRecord } from '../../model/layout.ts';
import { algorithmOf, type Digest, type ImageId, type RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeBlobLink } from '../blobs/link.ts';
import { encodeGone } from '../condemned/gone.ts';
import { Look } from '../condemned/look.ts';
import { digestFolderOf } from '../inventory/digest-folders.ts';
import { findProjectionRecord, forgetCompletion, recordProjection } from '../v1-images/projection-record.ts';
import type { Repair } from './findings.ts';

/** Hashes an object. `undefined` if there is none. */
export async function hashObject(
  storage: StorageDriver,
  key: Key,
  digest: Digest,
  onBytes: (sizeBytes: number) => void = () => {},
): Promise<{ digest: Digest; sizeBytes: number } | undefined> {
  const object = await storage.get(key);
  if (!object) return undefined;
  const algorithm = algorithmOf(digest);
  const hash = createHash(algorithm);
  let sizeBytes = 0;
  for await (const chunk of object.body) {
    hash.update(chunk);
    sizeBytes += chunk.length;
    onBytes(chunk.length);
  }
  return { digest: `${algorithm}:${hash.digest('hex')}` as Digest, sizeBytes };
}

/**
 * Makes a link name other bytes of its digest, which are read and hashed first.
 * @param options.etag of the link; undefined where there is none
 * @param options.except the key that the link shall not name
 */
export function relink(
  storage: StorageDriver,
  { repository, digest, etag, except }: { repository: RepositoryName; digest: Digest; etag?: ETag; except?: Key },
): Repair {
  return {
    action: 'link to other bytes with this digest, if there are any',
    run: async () => {
      for (const { key } of (await digestFolderOf(storage, digest)).bytes.filter(({ isMarked }) => !isMarked)) {
        if (key === except) continue;
        const hashed = await hashObject(storage, key, digest);
        if (hashed?.digest !== digest) continue;
        // Hashing may take longer than a look is valid.
        const look = new Look();
        const now = (await digestFolderOf(storage, digest)).bytes.find((bytes) => bytes.key === key);
        if (!now || now.isMarked) continue;
        const condition = etag ? { ifMatch: etag } : { ifAbsent: true };
        const link = encodeBlobLink({ sizeBytes: hashed.sizeBytes, key });
        const options = { ...AS_JSON, ...condition, look };
        return (await storage.put(layout.blobLink(repository, digest), link, options)) !== undefined;
      }
      return false;
    },
  };
}

/** Removes a link or an entry that names nothing, by its gone form: not every storage has conditional deletes. */
export async function removeRecord(storage: StorageDriver, key: Key, etag: ETag): Promise<boolean> {
  return (await storage.put(key, encodeGone(), { ...AS_JSON, ifMatch: etag })) !== undefined;
}

/** Marks bytes, so that no push relies on them and the collector removes them once no link names them. */
export function condemnBytes(storage: StorageDriver, digest: Digest, uuid: string): Repair {
  return {
    action: 'mark these bytes, so that no push relies on them',
    run: async () => {
      await storage.put(layout.blobMark(digest, uuid), new Uint8Array());
      return true;
    },
  };
}

/**
 * Gives a projection that a grant describes a record which says that it is not made: the next v1 request makes it.
 * @param description the key of the grant
 */
export async function recordAsTorn(storage: StorageDriver, id: ImageId, description: Key): Promise<boolean> {
  const record = parseImageRecord(description);
  if (record?.kind !== 'grant' || !Array.isArray(record.grant.by)) return false;
  await recordProjection(storage, id, {
    manifest: record.grant.by[0],
    isComplete: false,
    replacesPushedImage: false,
  });
  return true;
}

/** Records that a projection is not made: the next v1 request makes it. @returns false if the image is no projection */
export async function makeProjectionAgain(storage: StorageDriver, id: ImageId): Promise<boolean> {
  return (await findProjectionRecord(storage, id)) !== undefined && (await forgetCompletion(storage, id));
}
