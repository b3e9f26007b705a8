// `oci/images/<id>/view.json`: this id is that of a view. It is there before anything else of the view, and stays: from
// then on no push by v1 changes the image, and who has pushed or tagged something under its id has no right to it.

import { isJsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { type Digest, type ImageId, isImageId, parseDigest, sha256Digest } from '../../model/names.ts';
import { AS_JSON, type ETag, type StorageDriver, StorageUnavailableError } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';

export type ProjectionRecord = {
  /** Of which it was made; of an image below the top the first of several. */
  manifest: Digest;
  /** When its layer was made, by the first image that it was taken for; absent for the top, whose manifest tells. */
  created?: string;
  /** Whether all of it is there. */
  isMade: boolean;
  /** Of the top of a view the ids of the images below it, base first; undefined where nobody has chosen them yet. */
  below?: ImageId[];
  /** Whether somebody had pushed an image under this id before; undefined until that was looked for. */
  replaces?: boolean;
};

/** How often two processes may get in each other's way. */
const MAX_TRIES = 20;

/** One storage request. `undefined` if the id is not that of a view. */
export async function findProjectionRecord(storage: StorageDriver, id: ImageId): Promise<ProjectionRecord | undefined> {
  return (await read(storage, id))?.mark;
}

/** Whether the id is that of a view, whole or not. One storage request. */
export async function hasProjectionRecord(storage: StorageDriver, id: ImageId): Promise<boolean> {
  return (await storage.head(layout.projectionRecord(id))) !== undefined;
}

/** Whether the id is that of the top of a projection: the digits of its manifest. One storage request. */
export async function isTopOfProjection(storage: StorageDriver, id: ImageId): Promise<boolean> {
  return (await findProjectionRecord(storage, id))?.manifest === sha256Digest(id);
}

/**
 * Takes the id for a view. Whether it replaces an image is looked for once it is taken, so that no push goes unseen, and
 * kept before anything of the view is written, so that its own objects are not taken for those of somebody else after a
 * crash. Four storage requests, one if that was done before.
 * @param chooseBelow the ids of the images below the top of a view
 * @returns the mark that is there, which may be that of a process that came first
 */
export async function claimForProjection(
  storage: StorageDriver,
  id: ImageId,
  {
    manifest,
    created,
    chooseBelow = async () => [],
  }: { manifest: Digest; created?: string | undefined; chooseBelow?: () => Promise<ImageId[]> },
): Promise<ProjectionRecord & { below: ImageId[]; replaces: boolean }> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const found = await read(storage, id);
    const { below, replaces: known } = found?.mark ?? {};
    if (found && below && known !== undefined) return { ...found.mark, below, replaces: known };
    const taken = {
      ...(found?.mark ?? { manifest, isMade: false, ...(created !== undefined && { created }) }),
      below: below ?? (await chooseBelow()),
    };
    const etag = found?.etag ?? (await put(storage, id, taken, { ifAbsent: true }));
    if (!etag) continue;
    const replaces = (await storage.head(layout.imageJson(id))) !== undefined;
    if (await put(storage, id, { ...taken, replaces }, { ifMatch: etag })) return { ...taken, replaces };
  }
  throw new StorageUnavailableError(`too many processes take ${layout.projectionRecord(id)} at once`);
}

/** One storage request. */
export async function completeProjection(storage: StorageDriver, id: ImageId, mark: ProjectionRecord): Promise<void> {
  await put(storage, id, { ...mark, isMade: true });
}

async function read(storage: StorageDriver, id: ImageId): Promise<{ mark: ProjectionRecord; etag: ETag } | undefined> {
  const object = await storage.read(layout.projectionRecord(id));
  if (!object) return undefined;
  const value = parseJson(object.bytes);
  if (!isJsonObject(value) || typeof value.manifest !== 'string') throw new Error(`${object.info.key} is no view`);
  const { made, replaces, below, created } = value;
  const manifest = parseDigest(value.manifest);
  const mark = {
    manifest,
    isMade: made === true,
    ...(typeof created === 'string' && { created }),
    ...(Array.isArray(below) && { below: below.filter(isImageId) }),
    ...(typeof replaces === 'boolean' && { replaces }),
  };
  return { mark, etag: object.info.etag };
}

async function put(
  storage: StorageDriver,
  id: ImageId,
  { manifest, created, below, isMade: made, replaces }: ProjectionRecord,
  condition: { ifAbsent?: boolean; ifMatch?: ETag } = {},
): Promise<ETag | undefined> {
  const bytes = encodeText(JSON.stringify({ manifest, created, below, made, replaces }));
  return await storage.put(layout.projectionRecord(id), bytes, { ...AS_JSON, ...condition });
}
