// All v1 images, an image at a time, from two flat listings: `images/` and `oci/images/`. What is known of an image is gathered
// as its objects pass, since a base image may have a million grants.
import { type Grant, imageOfKey, type Key, type KeyPrefix, layout, parseImageObject } from '../../model/layout.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { inOrder } from '../inventory/in-order.ts';

/** How many objects, and how many grants that are no longer valid, are kept of one image. */
const MAX_KEPT = 1000;

/** What the listings tell of an image. */
export type ListedImage = {
  id: ImageId;
  /** The objects that are removed with the image: all but its cell and the records of other images. The first 1,000. */
  objects: ObjectInfo[];
  hasMore: boolean;
  cell?: ObjectInfo;
  /** When the newest of the objects was written. */
  newestAt: Date;
  /**
   * Whether a v1 client, docker-registry or a projection has written any of it. `_inprogress` does not count, nor an ancestry,
   * which a projection writes before it takes the id.
   */
  isThere: boolean;
  isProjection: boolean;
  /** Whether it has a projection record, `view.json`. */
  hasRecord: boolean;
  hasOwnLayer: boolean;
  hasAncestry: boolean;
  hasDescriptor: boolean;
  /** The digests that its `layer.json` names or has named. */
  blobs: Digest[];
  /** The digest of its layer, as grants describe the projection, and whether one of these grants is valid. */
  describedLayer?: Digest;
  hasValidDescription: boolean;
  /** Whether any grant is valid, and whether one is that is by the manifest of which this is the top projection. */
  hasValidGrant: boolean;
  hasOwnGrant: boolean;
  /** Grants that give no right. The first 1,000. */
  staleGrants: ObjectInfo[];
  /** v1 images that were converted to the manifest with these digits. */
  sources: { id: ImageId; info: ObjectInfo }[];
};

export type ListImagesOptions = {
  /** Images up to this one are left out. */
  after?: ImageId | undefined;
  isValid: (grant: Grant) => boolean;
  isOwn: (grant: Grant, id: ImageId) => boolean;
  /** Called with each key that the layout does not have. */
  onUnknown?: (key: Key) => void;
};

/** Lists all images in the order of their ids. One storage request per 1,000 objects. */
export async function* listImages(storage: StorageDriver, options: ListImagesOptions): AsyncGenerator<ListedImage> {
  let image: ListedImage | undefined;
  for await (const { id, info } of mergeById(storage, options)) {
    if (image?.id !== id) {
      if (image) yield image;
      image = emptyImage(id);
    }
    addObject(image, info, options);
  }
  if (image) yield image;
}

type ObjectOfImage = { id: ImageId; info: ObjectInfo };

/** The objects of both listings, so that those of one image follow each other. */
async function* mergeById(
  storage: StorageDriver,
  { after, onUnknown }: ListImagesOptions,
): AsyncGenerator<ObjectOfImage> {
  async function* objectsBelow(prefix: KeyPrefix): AsyncGenerator<ObjectOfImage, undefined> {
    const folder = after && (`${prefix}${after}/` as KeyPrefix);
    const options = folder ? { after: layout.afterFolder(folder) } : {};
    for await (const info of inOrder(storage.list(prefix, options))) {
      const id = imageOfKey(info.key);
      if (id) yield { id, info };
      else onUnknown?.(info.key);
    }
    return undefined;
  }
  const [left, right] = [objectsBelow(layout.allImages()), objectsBelow(layout.allImageRecords())];
  let [one, other] = await Promise.all([left.next(), right.next()]);
  while (!one.done || !other.done) {
    const isLeftFirst = other.done || (!one.done && compareByteOrder(`${one.value.id}/`, `${other.value.id}/`) <= 0);
    if (isLeftFirst && !one.done) {
      yield one.value;
      one = await left.next();
    } else if (!other.done) {
      yield other.value;
      other = await right.next();
    }
  }
}

function emptyImage(id: ImageId): ListedImage {
  return {
    id,
    objects: [],
    hasMore: false,
    newestAt: new Date(0),
    isThere: false,
    isProjection: false,
    hasRecord: false,
    hasValidDescription: false,
    hasOwnLayer: false,
    hasAncestry: false,
    hasDescriptor: false,
    blobs: [],
    hasValidGrant: false,
    hasOwnGrant: false,
    staleGrants: [],
    sources: [],
  };
}

/** Whether the object goes with its image, unlike the cell, records of other images, and keys that the layout does not have. */
export function isPartOfImage(key: Key): boolean {
  const kind = parseImageObject(key)?.kind;
  return kind !== undefined && kind !== 'cell' && kind !== 'source';
}

function addObject(image: ListedImage, info: ObjectInfo, { isValid, isOwn, onUnknown }: ListImagesOptions): void {
  const object = parseImageObject(info.key);
  switch (object?.kind) {
    case undefined:
      onUnknown?.(info.key);
      return;
    case 'cell':
      image.cell = info;
      return;
    case 'source':
      image.sources.push({ id: object.id, info });
      return;
    case 'v1':
      image.isThere ||= object.name !== '_inprogress' && object.name !== 'ancestry';
      image.hasOwnLayer ||= object.name === 'layer';
      image.hasAncestry ||= object.name === 'ancestry';
      break;
    case 'projection':
      image.isThere = true;
      image.isProjection = true;
      image.hasRecord = true;
      break;
    case 'layer descriptor':
      image.hasDescriptor = true;
      break;
    case 'blob':
      image.blobs.push(object.digest);
      break;
    case 'grant':
      if (object.grant.content) {
        image.describedLayer = object.grant.content.layer;
        image.isThere = true;
        image.isProjection = true;
      }
      if (isValid(object.grant)) {
        image.hasValidDescription ||= object.grant.content !== undefined;
        image.hasValidGrant = true;
        image.hasOwnGrant ||= isOwn(object.grant, image.id);
      } else if (image.staleGrants.length < MAX_KEPT) image.staleGrants.push(info);
      break;
    case 'outdated grant':
      image.staleGrants.push(info);
      break;
  }
  if (info.lastModified > image.newestAt) image.newestAt = info.lastModified;
  if (image.objects.length < MAX_KEPT) image.objects.push(info);
  else image.hasMore = true;
}
