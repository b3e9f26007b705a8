// What says that an image id is a projection: a grant that describes the projection (`describing-grants.ts`), or
// `oci/images/<id>/view.json`, the projection record. It is written before the JSON of the projection, and the collector deletes
// it after all other objects. From then on no v1 push changes the image, and grants to the image that a v1 client pushed under the
// same id give no right to the projection.
//
// A projection has a record if it replaces an image that a v1 client pushed, if its layer is compressed anew for v1 clients, if
// a v1 client has tagged an image that is built on it, and if a version made it that wrote no other form. Then what the record
// says counts, and what grants describe does not.

import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout, parseImageRecord } from '../../model/layout.ts';
import { type Digest, type ImageId, isImageId, parseDigest, sha256Digest } from '../../model/names.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { AS_JSON, type Condition, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { Look } from '../condemned/look.ts';
import type { SeenImage } from './image-cell.ts';

export type ProjectionRecord = {
  /** The manifest that was projected. Several manifests may share an image below the top: this is the first of them. */
  manifest: Digest;
  /** When the layer was made, as the first manifest tells. Absent for the top projection, whose config tells. */
  created?: string;
  /** Whether all objects of the projection are stored. */
  isComplete: boolean;
  /** Of a top projection: the ids of the images below it, base first. Undefined until they are chosen. */
  idsBelowTop?: ImageId[];
  /** Whether a v1 client had pushed an image under this id before. Undefined until storage was asked. */
  replacesPushedImage?: boolean;
};

/** A record whose claim is finished: see `claimForProjection`. */
export type ProjectionClaim = ProjectionRecord & { idsBelowTop: ImageId[]; replacesPushedImage: boolean };

/** One storage request. `undefined` if the id is not a projection, or one without a record. */
export async function findProjectionRecord(storage: StorageDriver, id: ImageId): Promise<ProjectionRecord | undefined> {
  return (await read(storage, id))?.record;
}

/** Whether the id is a projection, complete or not. One storage request. */
export async function isProjection(storage: StorageDriver, id: ImageId): Promise<boolean> {
  for await (const { key } of storage.list(layout.imageProjections(id))) if (saysProjection(key)) return true;
  return false;
}

/** Whether the object says that its image is a projection. @param key below `layout.imageRecords` */
export function saysProjection(key: Key): boolean {
  const record = parseImageRecord(key);
  return record?.kind === 'projection' || (record?.kind === 'grant' && record.grant.content !== undefined);
}

/** The layer that a describing grant names; `undefined` for any other key. */
export function describedLayer(key: Key): Digest | undefined {
  const record = parseImageRecord(key);
  return record?.kind === 'grant' ? record.grant.content?.layer : undefined;
}

/** Whether the id is a top projection: the hex of its own manifest. One storage request, and one more if it has a record. */
export async function isTopProjection(storage: StorageDriver, id: ImageId): Promise<boolean> {
  let hasRecord = false;
  for await (const { key } of storage.list(layout.imageProjections(id))) {
    const record = parseImageRecord(key);
    if (record?.kind === 'projection') hasRecord = true;
    if (record?.kind !== 'grant' || !record.grant.content) continue;
    const { by } = record.grant;
    if (Array.isArray(by) && by[0] === sha256Digest(id)) return true;
  }
  return hasRecord && (await findProjectionRecord(storage, id))?.manifest === sha256Digest(id);
}

/**
 * Claims an image id for a projection. Three storage requests, one if the id is claimed already.
 *
 * The record is written first and completed second. Between the two, storage is asked whether a v1 client has pushed an image
 * under the id: a push that begins later sees the record and stops. The answer is stored before any object of the
 * projection, so that after a crash those objects are not taken for a pushed image.
 * @param options.manifest the manifest that is projected
 * @param options.created when the layer was made; RFC 3339
 * @param options.seen the image as the writer saw it
 * @param options.chooseIdsBelowTop chooses the ids of the images below a top projection, base first
 * @returns the stored record, which another process may have written
 * @throws StorageUnavailableError if other processes keep writing the record
 */
export async function claimForProjection(
  storage: StorageDriver,
  id: ImageId,
  {
    manifest,
    created,
    seen: { look, hasRecord },
    chooseIdsBelowTop = async () => [],
  }: {
    manifest: Digest;
    created?: string | undefined;
    seen: Pick<SeenImage, 'look' | 'hasRecord'>;
    chooseIdsBelowTop?: () => Promise<ImageId[]>;
  },
): Promise<ProjectionClaim> {
  return await compareAndSwap(layout.projectionRecord(id), {
    ...(!hasRecord && { first: { before: undefined } }),
    read: () => read(storage, id),
    write: async (stored) => {
      const { idsBelowTop, replacesPushedImage } = stored?.record ?? {};
      if (stored && idsBelowTop && replacesPushedImage !== undefined) {
        return { ...stored.record, idsBelowTop, replacesPushedImage };
      }
      const claimed = {
        ...(stored?.record ?? { manifest, isComplete: false, ...(created !== undefined && { created }) }),
        idsBelowTop: idsBelowTop ?? (await chooseIdsBelowTop()),
      };
      const etag = stored?.etag ?? (await put(storage, id, claimed, { ifAbsent: true, look }));
      if (!etag) return undefined;
      const isReplacing = replacesPushedImage ?? (await storage.head(layout.imageJson(id))) !== undefined;
      const record = { ...claimed, replacesPushedImage: isReplacing };
      return (await put(storage, id, record, { ifMatch: etag, look })) && record;
    },
  });
}

/** Gives a projection a record, unless it has one. One storage request. */
export async function recordProjection(
  storage: StorageDriver,
  id: ImageId,
  record: ProjectionRecord,
  look?: Look,
): Promise<void> {
  await put(storage, id, record, { ifAbsent: true, ...(look && { look }) });
}

/** Records that all objects of the projection are stored. One storage request. */
export async function completeProjection(
  storage: StorageDriver,
  id: ImageId,
  record: ProjectionRecord,
  look: Look,
): Promise<void> {
  await put(storage, id, { ...record, isComplete: true }, { look });
}

/** Records that objects of the projection are missing, so that it is made again. Two storage requests. @returns false if the record has changed meanwhile */
export async function forgetCompletion(storage: StorageDriver, id: ImageId): Promise<boolean> {
  const stored = await read(storage, id);
  if (!stored) return false;
  return (await put(storage, id, { ...stored.record, isComplete: false }, { ifMatch: stored.etag })) !== undefined;
}

/** The fields of the stored JSON keep the names that version 0.1.0 gave them. */
async function read(
  storage: StorageDriver,
  id: ImageId,
): Promise<{ record: ProjectionRecord; etag: ETag } | undefined> {
  const object = await storage.read(layout.projectionRecord(id));
  if (!object) return undefined;
  const value = parseJson(object.bytes);
  if (!isJsonObject(value) || typeof value.manifest !== 'string') {
    throw new Error(`${object.info.key} is not a projection record`);
  }
  const { made, replaces, below, created } = value;
  const record = {
    manifest: parseDigest(value.manifest),
    isComplete: made === true,
    ...(typeof created === 'string' && { created }),
    ...(Array.isArray(below) && { idsBelowTop: below.filter(isImageId) }),
    ...(typeof replaces === 'boolean' && { replacesPushedImage: replaces }),
  };
  return { record, etag: object.info.etag };
}

async function put(
  storage: StorageDriver,
  id: ImageId,
  { manifest, created, idsBelowTop: below, isComplete: made, replacesPushedImage: replaces }: ProjectionRecord,
  options: Condition & { look?: Look },
): Promise<ETag | undefined> {
  const bytes = encodeText(JSON.stringify({ manifest, created, below, made, replaces }));
  return await storage.put(layout.projectionRecord(id), bytes, { ...AS_JSON, ...options });
}
