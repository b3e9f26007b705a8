// Repairs. Each is one conditional write, so it does nothing where storage has changed since the finding, and none deletes bytes.
import { createHash } from 'node:crypto';
import { type Key, layout, parseImageRecord } from '../../model/layout.ts';
import { algorithmOf, type Digest, type ImageId, type RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeBlobLink } from '../blobs/link.ts';
import { CORRUPT_MARK } from '../condemned/corrupt-mark.ts';
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
 * Makes a link name other bytes of its digest, which are read and hashed first. Bytes that turn out to be corrupt are marked.
 * @param options.etag of the link; undefined where there is none
 */
export function relink(
  storage: StorageDriver,
  { repository, digest, etag }: { repository: RepositoryName; digest: Digest; etag?: ETag },
): Repair {
  return {
    action: 'link to other bytes with this digest, if there are any',
    run: async () => {
      for (const { key, uuid, isMarked } of (await digestFolderOf(storage, digest)).bytes) {
        if (isMarked) continue;
        const hashed = await hashObject(storage, key, digest);
        if (hashed?.digest !== digest) {
          if (hashed) await condemnBytes(storage, digest, uuid).run();
          continue;
        }
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

/**
 * As `relink`; without other bytes the link is removed. Then the repository does not hold the blob, and the next push sends it,
 * where a push that finds the link would leave it out.
 */
export function relinkOrRemove(
  storage: StorageDriver,
  { repository, digest, etag }: { repository: RepositoryName; digest: Digest; etag: ETag },
): Repair {
  const { action, run } = relink(storage, { repository, digest, etag });
  return {
    action: `${action}, or remove the link, so that the next push sends the blob`,
    run: async () =>
      (await run()) || ((await removeRecord(storage, layout.blobLink(repository, digest), etag)) && 'needs push'),
  };
}

/** Removes a link or an entry that names nothing, by its gone form: not every storage has conditional deletes. */
export async function removeRecord(storage: StorageDriver, key: Key, etag: ETag): Promise<boolean> {
  return (await storage.put(key, encodeGone(), { ...AS_JSON, ifMatch: etag })) !== undefined;
}

/** Marks corrupt bytes, so that no push or mount relies on them and the collector removes them once no link names their digest. */
export function condemnBytes(storage: StorageDriver, digest: Digest, uuid: string): Repair {
  return {
    action: 'mark these bytes, so that no push or mount relies on them',
    run: async () => {
      await storage.put(layout.blobMark(digest, uuid), CORRUPT_MARK);
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
