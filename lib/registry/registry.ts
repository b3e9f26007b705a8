import { DEFAULT_UNPACK_LIMITS, type UnpackLimits } from '../compression/unpack-limits.ts';
import type { Background } from '../concurrency/background.ts';
import { hexOf, isImageId } from '../model/names.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { Blobs } from './blobs/blobs.ts';
import { type IndexChildren, Manifests, type OnTagChange } from './manifests/manifests.ts';
import { Referrers } from './manifests/referrers.ts';
import { Adoption } from './old-buckets/adopt.ts';
import { mergeTwiceQuoted } from './old-buckets/merge-twice-quoted.ts';
import { Catalog } from './repositories/catalog.ts';
import { Repositories } from './repositories/repositories.ts';
import { Search } from './repositories/search.ts';
import { IndexImages } from './tags/index-images.ts';
import { TagMetadata } from './tags/metadata.ts';
import { type IsImmutable, Tags } from './tags/tags.ts';
import { Uploads } from './uploads/uploads.ts';
import { ImageFiles } from './v1-images/files.ts';
import { ImageGrants } from './v1-images/grants.ts';
import { ImageRights } from './v1-images/image-rights.ts';
import { Images } from './v1-images/images.ts';
import { ImmutableImageTags } from './v1-images/immutable-image-tags.ts';
import { ImageLayers } from './v1-images/layers.ts';
import { ImagePushes } from './v1-images/push.ts';
import { ImageConversions } from './v1-to-v2/convert-image.ts';
import { IndexUpkeep } from './v2-to-v1/index-upkeep.ts';
import { ImageProjections } from './v2-to-v1/project-image.ts';
import { TagProjections } from './v2-to-v1/project-tags.ts';

/** What both protocols act on: one bucket, seen by its nouns. */
export type Registry = {
  adoption: Adoption;
  blobs: Blobs;
  catalog: Catalog;
  indexImages: IndexImages;
  imageFiles: ImageFiles;
  imageRights: ImageRights;
  imagePushes: ImagePushes;
  images: Images;
  manifests: Manifests;
  referrers: Referrers;
  repositories: Repositories;
  search: Search;
  tagMetadata: TagMetadata;
  tags: Tags;
  tagProjections: TagProjections;
  uploads: Uploads;
};

export type RegistryOptions = {
  /** Whether v1's view of a v2 image has real layers: where copies cost nothing, or docker-registry shall read them. */
  copiesLayers: boolean;
  /** Does what no request waits for; without it somebody else keeps v1's view in step, or the first v1 request does. */
  background?: Background;
  /** Whether the manifests that an index names have to be there. Default `required`. */
  indexChildren?: IndexChildren;
  /** Tags that no push may move. */
  isImmutable?: IsImmutable;
  /** How much a compressed layer may unpack to. */
  unpackLimits?: UnpackLimits;
};

export function assembleRegistry(
  opened: StorageDriver,
  { copiesLayers, background, isImmutable, indexChildren, unpackLimits = DEFAULT_UNPACK_LIMITS }: RegistryOptions,
): Registry {
  const storage = mergeTwiceQuoted(opened);
  const blobs = new Blobs(storage);
  const tags = new Tags(storage, isImmutable);
  const catalog = new Catalog(storage);
  const search = new Search(catalog);
  const layers = new ImageLayers(storage, unpackLimits);
  const images = new Images(storage, layers);
  const grants = new ImageGrants(storage);
  const rights = new ImageRights(storage, { tags });
  const indexImages = new IndexImages(storage);
  const referrers = new Referrers(storage);
  const tagMetadata = new TagMetadata(storage);
  const immutableImageTags = new ImmutableImageTags(storage, { tags, grants });
  const imageConversions = new ImageConversions(storage, { blobs, images, layers, rights, immutableImageTags });
  const views = new ImageProjections(storage, { blobs, images, layers, grants }, { copiesLayers, unpackLimits });
  const tagProjections = new TagProjections(storage, {
    tags,
    images,
    views,
    metadata: tagMetadata,
    index: indexImages,
    grants,
  });
  const upkeep =
    background &&
    new IndexUpkeep(background, async (repository, changes) => {
      await tagProjections.bringInStep(repository, changes);
      if (changes.deleted.size > 0) search.doubt(repository);
    });
  const onTagChange: OnTagChange = (repository, change) => {
    if ('moved' in change) search.add(repository);
    else search.doubt(repository);
    if (!background || !upkeep) return;
    if ('deleted' in change) {
      upkeep.note(repository, { deleted: new Map([[change.deleted, change.target.imageId]]) });
    } else if ('deletedManifest' in change) {
      const lost = new Set([hexOf(change.deletedManifest)].filter(isImageId));
      upkeep.note(repository, { lost, gone: new Set(change.tags) });
    } else {
      const { moved } = change;
      upkeep.noteSet(repository, moved);
      background.run(`projection of ${repository}:${moved}`, async () => {
        upkeep.note(repository, await tagProjections.updateTag(repository, moved));
      });
    }
  };
  const manifests = new Manifests(
    storage,
    { blobs, tags, imageConversions, referrers, immutableImageTags, onTagChange },
    indexChildren ? { indexChildren } : {},
  );
  return {
    adoption: new Adoption(opened, { catalog, tags, images, layers, conversions: imageConversions, grants }),
    blobs,
    catalog,
    indexImages,
    imageFiles: new ImageFiles(storage, images, { unpackLimits }),
    imageRights: rights,
    imagePushes: new ImagePushes(storage, { images, layers, grants, unpackLimits }),
    images,
    manifests,
    referrers,
    repositories: new Repositories(storage, {
      tags,
      images,
      metadata: tagMetadata,
      grants,
      rights,
      manifests,
      immutableImageTags,
      search,
      onTagChange,
    }),
    search,
    tagMetadata,
    tags,
    tagProjections,
    uploads: new Uploads(storage, blobs),
  };
}
