import type { StorageDriver } from '../storage/driver.ts';
import { Blobs } from './blobs.ts';
import { Catalog } from './catalog.ts';
import { ImageIndex } from './image-index.ts';
import { ImageLayers } from './image-layers.ts';
import { ImageManifests } from './image-manifests.ts';
import { Images } from './images.ts';
import { Manifests } from './manifests.ts';
import { Repositories } from './repositories.ts';
import { Search } from './search.ts';
import { TagMetadata } from './tag-metadata.ts';
import { Tags } from './tags.ts';
import { Uploads } from './uploads.ts';

/** What both protocols act on: one bucket, seen by its nouns. */
export type Registry = {
  blobs: Blobs;
  catalog: Catalog;
  imageIndex: ImageIndex;
  images: Images;
  manifests: Manifests;
  repositories: Repositories;
  search: Search;
  tagMetadata: TagMetadata;
  tags: Tags;
  uploads: Uploads;
};

export function createRegistry(storage: StorageDriver): Registry {
  const blobs = new Blobs(storage);
  const tags = new Tags(storage);
  const catalog = new Catalog(storage);
  const layers = new ImageLayers(storage);
  const images = new Images(storage, layers);
  const tagMetadata = new TagMetadata(storage);
  return {
    blobs,
    catalog,
    imageIndex: new ImageIndex(storage),
    images,
    manifests: new Manifests(storage, blobs, tags, new ImageManifests(storage, blobs, images, layers)),
    repositories: new Repositories(storage, tags, images, tagMetadata),
    search: new Search(catalog),
    tagMetadata,
    tags,
    uploads: new Uploads(storage, blobs),
  };
}
