import { DEFAULT_UNPACK_LIMITS, type UnpackLimits } from '../compression/unpack-limits.ts';
import { hexOf, isImageId } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { Adoption } from './adoption.ts';
import type { Background } from './background.ts';
import { Blobs } from './blobs.ts';
import { Catalog } from './catalog.ts';
import { ImageFiles } from './image-files.ts';
import { ImageGrants } from './image-grants.ts';
import { ImageLayers } from './image-layers.ts';
import { ImageManifests } from './image-manifests.ts';
import { ImagePushes } from './image-pushes.ts';
import { ImageViews } from './image-views.ts';
import { Images } from './images.ts';
import { IndexImages } from './index-images.ts';
import { IndexUpkeep } from './index-upkeep.ts';
import { type IndexChildren, Manifests, type OnTagChange } from './manifests.ts';
import { Referrers } from './referrers.ts';
import { Repositories } from './repositories.ts';
import { Search } from './search.ts';
import { ShownImages } from './shown-images.ts';
import { TagMetadata } from './tag-metadata.ts';
import { TagViews } from './tag-views.ts';
import { type IsImmutable, Tags } from './tags.ts';
import { mergeTwiceQuoted } from './twice-quoted.ts';
import { Uploads } from './uploads.ts';

/** What both protocols act on: one bucket, seen by its nouns. */
export type Registry = {
  adoption: Adoption;
  blobs: Blobs;
  catalog: Catalog;
  indexImages: IndexImages;
  imageFiles: ImageFiles;
  imageGrants: ImageGrants;
  imagePushes: ImagePushes;
  images: Images;
  manifests: Manifests;
  referrers: Referrers;
  repositories: Repositories;
  search: Search;
  tagMetadata: TagMetadata;
  tags: Tags;
  tagViews: TagViews;
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

export function createRegistry(
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
  const grants = new ImageGrants(storage, { tags });
  const indexImages = new IndexImages(storage);
  const referrers = new Referrers(storage);
  const tagMetadata = new TagMetadata(storage);
  const shownImages = new ShownImages(storage, { tags, grants });
  const imageManifests = new ImageManifests(storage, { blobs, images, layers, grants, shownImages });
  const views = new ImageViews(storage, { blobs, images, layers, grants }, { copiesLayers, unpackLimits });
  const tagViews = new TagViews(storage, { tags, images, views, metadata: tagMetadata, index: indexImages, grants });
  const upkeep =
    background &&
    new IndexUpkeep(background, async (repository, changes) => {
      await tagViews.bringInStep(repository, changes);
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
        upkeep.note(repository, await tagViews.updateTag(repository, moved));
      });
    }
  };
  const manifests = new Manifests(
    storage,
    { blobs, tags, imageManifests, referrers, shownImages, onTagChange },
    indexChildren ? { indexChildren } : {},
  );
  return {
    adoption: new Adoption(opened, { catalog, tags, images, layers, manifests: imageManifests, grants }),
    blobs,
    catalog,
    indexImages,
    imageFiles: new ImageFiles(storage, images, { unpackLimits }),
    imageGrants: grants,
    imagePushes: new ImagePushes(storage, { images, layers, grants, unpackLimits }),
    images,
    manifests,
    referrers,
    repositories: new Repositories(storage, {
      tags,
      images,
      metadata: tagMetadata,
      grants,
      manifests,
      shownImages,
      search,
      onTagChange,
    }),
    search,
    tagMetadata,
    tags,
    tagViews,
    uploads: new Uploads(storage, blobs),
  };
}
