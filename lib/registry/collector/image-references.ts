import { layout } from '../../model/layout.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import type { ListedImage } from './listed-images.ts';
import type { CollectorRun } from './stage.ts';

/**
 * Adds to `linkedDigests` the blobs that the layer descriptor of an image names or has named, and the one that its grants describe.
 * The link of the repository that gave the grant says which copy of that it is; where the repository holds it no longer, all
 * copies stay. One storage request for a digest
 * with several copies, and for a descriptor of version 0.1.0, which has no marker of its blob.
 */
export async function addImageReferences(
  { storage, filters, copies }: CollectorRun,
  { id, blobs, hasDescriptor, describedLayer, hasValidDescription }: ListedImage,
): Promise<void> {
  if (describedLayer && !hasDescriptor) {
    filters.linkedDigests.add(describedLayer);
    if (!hasValidDescription) copies.addLink(describedLayer, layout.imageLayerDescriptor(id), undefined);
  }
  for (const digest of blobs) filters.linkedDigests.add(digest);
  const isUnmarked = hasDescriptor && blobs.length === 0;
  if (!isUnmarked && !blobs.some((digest) => copies.isWanted(digest))) return;
  const descriptor = await readLayerDescriptor(storage, id);
  if (!descriptor) return; // the marker of a descriptor that was never written
  const { digest, key, sizeBytes } = descriptor;
  filters.linkedDigests.add(digest);
  if (copies.isWanted(digest)) copies.addLink(digest, layout.imageLayerDescriptor(id), { bytesKey: key, sizeBytes });
}
