// The cell of a v1 image, `oci/images/<id>/condemned.json`. An image is made of several objects under keys that clients choose,
// so it is condemned and removed as a whole, by compare-and-swap of this one object:
//
//  absent, or {"gone": nonce}      live
//  {"condemned": {run, nonce}}     condemned; readers are served as before, and a writer makes the image live again
//  {"removing": {run, nonce}}      the collector deletes its objects; a writer gets 503 until that has ended
//
// A writer looks at the cell before it writes an object of the image, or a tag that leads to it. A collector that condemns the
// image later removes it a grace period after that at the earliest, when the writer's look is no longer valid (`Look`), and
// looks for tags, manifests and links once more before it does.
import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Grant, type Key, layout, type ManifestPath } from '../../model/layout.ts';
import type { ImageId, RepositoryName } from '../../model/names.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { AS_JSON, type ETag, type ObjectInfo, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { type Condemned, condemnedBy, parseCondemned } from '../condemned/condemned.ts';
import { encodeGone, GONE_BYTES, isGone } from '../condemned/gone.ts';
import type { Look } from '../condemned/look.ts';

/** A cell. `object` is what is stored at its key: absent if nothing is, or a gone form, where the image is live. */
export type ImageCell =
  | { state: 'live'; object?: ObjectInfo }
  | { state: 'condemned' | 'removing'; by: Condemned; object: ObjectInfo };

/** A cell that the collector has condemned, or from which it removes the image. */
export type MarkedCell = Exclude<ImageCell, { state: 'live' }>;

/** What a writer saw of an image that is live, and that the collector does not remove while the look is valid. */
export type SeenImage = {
  look: Look;
  isProjection: boolean;
  /** Whether it has a projection record, `view.json`. */
  hasRecord: boolean;
  hasDescriptor: boolean;
  /** The grants that describe the projection, as far as one listing request shows them. */
  descriptions: DescribingGrant[];
  /** The grants to the projection by manifests of repositories, likewise. */
  manifestGrants: { repository: RepositoryName; by: ManifestPath }[];
  /** Whether a push by a v1 client has left records beside it. */
  hasPushRecords: boolean;
};

/** A grant by a manifest that describes the projection. */
export type DescribingGrant = { key: Key; by: ManifestPath } & Required<Pick<Grant, 'repository' | 'content'>>;

/** One storage request. @throws Error if storage is damaged */
export async function readImageCell(storage: StorageDriver, id: ImageId): Promise<ImageCell> {
  const stored = await storage.read(layout.imageCell(id));
  if (!stored) return { state: 'live' };
  const { info: object, bytes } = stored;
  if (isGone(bytes)) return { state: 'live', object };
  const value = parseJson(bytes);
  const fields = isJsonObject(value) ? value : {};
  const removing = parseCondemned(fields.removing);
  if (removing) return { state: 'removing', by: removing, object };
  const condemned = parseCondemned(fields.condemned);
  if (condemned) return { state: 'condemned', by: condemned, object };
  throw new Error(`${object.key} is not the cell of an image`);
}

/**
 * The cell in a listing of `layout.imageRecords`: `listed` is `undefined` where the image has none, and missing where the
 * listing was not read that far.
 */
export type ListedCell = { listed?: ObjectInfo | undefined };

/** @param last the last key that was read of the listing; `undefined` if it was read to its end */
export function listedCell(id: ImageId, listed: ObjectInfo | undefined, last: Key | undefined): ListedCell {
  return last === undefined || last >= layout.imageCell(id) ? { listed } : {};
}

/** Whether the image is live. @param cell as a listing shows it; `undefined` if the listing shows none */
export function isLiveAsListed(cell: ObjectInfo | undefined): boolean {
  return cell === undefined || cell.sizeBytes === GONE_BYTES;
}

/**
 * What a writer calls before it relies on an image: a condemned one is live afterwards. One storage request, and one more for
 * an image that is condemned; none if the cell was listed and shows that the image is live.
 * @param options.look began before the cell was listed, or before this call. The writes that follow are covered by it
 * @throws RegistryError UNAVAILABLE if the collector is removing the image: clients get 503 and try again
 * @throws StorageUnavailableError if the look is too old, likewise
 */
export async function lookAtImage(
  storage: StorageDriver,
  id: ImageId,
  { look, ...known }: { look: Look } & ListedCell,
): Promise<void> {
  if ('listed' in known && isLiveAsListed(known.listed)) return;
  await compareAndSwap(layout.imageCell(id), {
    read: () => readImageCell(storage, id),
    write: async (cell) => {
      if (cell.state === 'live') return true;
      if (cell.state === 'removing') throw imageIsRemoved(id);
      look.check();
      return (await makeLive(storage, id, cell)) || undefined;
    },
  });
}

/**
 * Condemns an image that nothing reaches. One storage request.
 * @param cell as it was before the collector looked for what reaches the image
 * @param run the id of the collector's run
 * @returns false if the cell has changed since: then the image is left as it is
 */
export async function condemnImage(
  storage: StorageDriver,
  id: ImageId,
  cell: Extract<ImageCell, { state: 'live' }>,
  run: string,
): Promise<boolean> {
  return (await put(storage, id, encode({ condemned: condemnedBy(run) }), cell.object)) !== undefined;
}

/**
 * Makes a condemned image live, because something reaches it. One storage request.
 * @returns false if the cell has changed since it was read
 */
export async function makeLive(storage: StorageDriver, id: ImageId, cell: MarkedCell): Promise<boolean> {
  // Not by a DELETE, whose condition some servers ignore.
  return (await put(storage, id, encodeGone(), cell.object)) !== undefined;
}

/**
 * Takes an image for its removal. One storage request. The caller has found, by reading that began a grace period after
 * `cell.object.lastModified`, that nothing reaches the image; or that another collector took it that long ago and did not
 * end. It then deletes the objects of the image, each once and without retries, within the time of a `Look` that began
 * before this call. The grants that describe a projection and `view.json` are the last of them: without any, what is left of a
 * projection would pass for a pushed image.
 * Only if each DELETE was answered, the caller calls `endRemoving`; otherwise the cell stays.
 * @returns the cell, which only this caller has; `undefined` if it has changed since it was read
 */
export async function startRemoving(
  storage: StorageDriver,
  id: ImageId,
  cell: MarkedCell,
  run: string,
): Promise<MarkedCell | undefined> {
  const by = condemnedBy(run);
  const etag = await put(storage, id, encode({ removing: by }), cell.object);
  return etag && { state: 'removing', by, object: { ...cell.object, etag } };
}

/**
 * Ends a removal: the id is free for a new push or projection. One storage request.
 * @param removing the cell that `startRemoving` returned
 * @param options.hasConditionalDeletes whether storage honors the condition of a DELETE. Where it does not, a gone form stays
 * @returns false if another collector has taken over
 */
export async function endRemoving(
  storage: StorageDriver,
  id: ImageId,
  removing: MarkedCell,
  { hasConditionalDeletes }: { hasConditionalDeletes: boolean },
): Promise<boolean> {
  if (!hasConditionalDeletes) return await makeLive(storage, id, removing);
  return await storage.delete(layout.imageCell(id), { ifMatch: removing.object.etag });
}

function encode(cell: { condemned: Condemned } | { removing: Condemned }): Uint8Array {
  return encodeText(JSON.stringify(cell));
}

async function put(
  storage: StorageDriver,
  id: ImageId,
  cell: Uint8Array,
  before: ObjectInfo | undefined,
): Promise<ETag | undefined> {
  return await storage.put(layout.imageCell(id), cell, { ...AS_JSON, ...unchanged(before) });
}

function imageIsRemoved(id: ImageId): RegistryError {
  return new RegistryError('UNAVAILABLE', `the unused image ${id} is being removed, try again in a few minutes`, {
    headers: { 'Retry-After': '60' },
  });
}
