import { layout } from '../../model/layout.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import { findProjectionRecord } from '../v1-images/projection-record.ts';
import type { ListedImage } from './listed-images.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

/** Whether images that v1 clients pushed, and nothing leads to, are removed. */
export type V1ImagesPolicy = 'keep' | 'collect';

/**
 * Why an image is kept; undefined if nothing leads to it. At most one storage request.
 */
export async function reasonToKeepImage(
  run: CollectorRun,
  image: ListedImage,
  v1Images: V1ImagesPolicy,
): Promise<string | undefined> {
  const { id, isThere, hasRecord, hasOwnLayer } = image;
  if (run.filters.keptImages.has(id))
    return 'a tag, a manifest, a link or another image leads to it, or v1 clients pushed it';
  if (image.hasValidGrant) return 'a tag or manifest gives a right to it';
  // Without an image there are only the remains of pushes, which live for a day.
  const minAgeMs = isThere ? run.times.graceMs : Math.min(run.times.minAgeMs, run.times.graceMs);
  if (!isOlderThan(run, image.newestAt, minAgeMs)) return 'it was written within the grace period';
  if (!isThere) return undefined;
  const mayHoldPushedLayer = hasRecord && hasOwnLayer && v1Images === 'keep';
  if (!mayHoldPushedLayer || !(await replacesPushedImage(run.storage, id))) return undefined;
  return 'it replaces an image that a v1 client pushed';
}

async function replacesPushedImage(storage: StorageDriver, id: ImageId): Promise<boolean> {
  return (await findProjectionRecord(storage, id))?.replacesPushedImage !== false;
}

/**
 * Whether a link may name the object `images/<id>/layer`: its digest is linked, and `layer.json` does not say that the bytes lie
 * elsewhere. At most one storage request.
 */
export async function isLayerLinked(
  run: CollectorRun,
  { id, hasOwnLayer, blobs, hasDescriptor }: ListedImage,
): Promise<boolean> {
  if (!hasOwnLayer) return false;
  const descriptor = hasDescriptor ? await readLayerDescriptor(run.storage, id) : undefined;
  const isElsewhere = (digest: Digest) => digest === descriptor?.digest && descriptor.key !== layout.imageLayer(id);
  const digests = new Set([...blobs, ...(descriptor ? [descriptor.digest] : [])]);
  return [...digests].some((digest) => !isElsewhere(digest) && run.filters.linkedDigests.has(digest));
}
