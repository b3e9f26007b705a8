import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { JsonObject } from '../../model/json.ts';
import { layout, type ManifestPath } from '../../model/layout.ts';
import type { ImageId, RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { ReusableBytes } from '../blobs/reusable-bytes.ts';
import type { BlobStore } from '../blobs/store.ts';
import type { TagTarget } from '../tags/target.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import { claimForProjection, hasProjectionRecord } from '../v1-images/projection-record.ts';
import { GzipLayers } from './gzip-layers.ts';
import { chainIds, type ProjectedImage, projectChain } from './image-chain.ts';
import { type SourceImage, SourceImages } from './source-image.ts';
import { ProjectionWriter } from './write-image.ts';

export type ProjectionOptions = {
  /** Whether each image of a projection gets a `layer` and `_checksum` of its own, so that docker-registry can serve it. */
  copiesLayers: boolean;
  /** How much a compressed layer may decompress to. */
  unpackLimits: UnpackLimits;
};

export type ProjectionDependencies = {
  blobs: Blobs;
  store: BlobStore;
  reusable: ReusableBytes;
  images: Images;
  looks: ImageLooks;
  layers: ImageLayers;
};

/** A projection that is stored, and what a repository needs to be granted it. */
export type Projection = {
  /** Base first, the top projection last. */
  ids: ImageId[];
  /** What a grant is given by: the manifest, and of an index the child that was projected. */
  manifests: ManifestPath;
  /** Of the v2 image. */
  config: JsonObject;
};

/** Makes v1 images from v2 manifests. */
export class ImageProjections {
  readonly #storage: StorageDriver;
  readonly #sources: SourceImages;
  readonly #writer: ProjectionWriter;
  readonly #looks: ImageLooks;

  constructor(
    storage: StorageDriver,
    { images, looks, layers, ...bytes }: ProjectionDependencies,
    { copiesLayers, unpackLimits }: ProjectionOptions,
  ) {
    const gzipLayers = new GzipLayers(bytes, unpackLimits);
    this.#storage = storage;
    this.#sources = new SourceImages(storage, bytes.blobs);
    this.#looks = looks;
    this.#writer = new ProjectionWriter(storage, { images, looks, layers, gzipLayers }, { copiesLayers });
  }

  /**
   * Projects what a tag names. Images that are stored already stay. The caller grants the result to the repository. The tag is
   * there, so the collector keeps each image that is looked at here.
   * @param options.looksAnew whether to look also at images that this process saw whole a short time ago
   * @returns `undefined` if v1 has no form for it: an artifact, a v1 image, an image that is broken or has too many layers
   * @throws RegistryError UNAVAILABLE if the collector is removing one of the images
   */
  async project(
    repository: RepositoryName,
    { digest, imageId }: TagTarget,
    { looksAnew = false }: { looksAnew?: boolean } = {},
  ): Promise<Projection | undefined> {
    const source = imageId && (await this.#sources.find(repository, digest));
    if (!source) return undefined;
    const { idsBelowTop } = await claimForProjection(this.#storage, imageId, {
      manifest: digest,
      seen: await this.#looks.at(imageId),
      chooseIdsBelowTop: () => this.#chooseIdsBelowTop(source),
    });
    const images = projectChain([...idsBelowTop, imageId], source.config, source.layers);
    const write = (image: ProjectedImage) =>
      this.#writer.write(image, { manifest: digest, link: source.links.get(image.layer.digest), looksAnew });
    try {
      await mapConcurrently(images.slice(0, -1), write);
      // The top last: where its record is complete, the whole chain is.
      await mapConcurrently(images.slice(-1), write);
    } catch (error) {
      if (error instanceof CorruptLayerError) return undefined;
      throw error;
    }
    return {
      ids: images.map(({ id }) => id),
      manifests: source.digest === digest ? [digest] : [digest, source.digest],
      config: source.config,
    };
  }

  /**
   * The ids of the images below the top, base first: those of `chainIds`, up to the first under which a v1 client has pushed an
   * image. That image stays, and the projection has unpredictable ids from there on.
   */
  async #chooseIdsBelowTop({ layers, manifest }: SourceImage): Promise<ImageId[]> {
    const digests = layers.slice(0, -1).map(({ digest }) => digest);
    const ids = chainIds(digests);
    const arePushed = await mapConcurrently(ids, (id) => this.#isPushed(id));
    const free = arePushed.includes(true) ? ids.slice(0, arePushed.indexOf(true)) : ids;
    return [...free, ...chainIds(digests.slice(free.length), { parent: free.at(-1), manifest })];
  }

  /** The JSON before the record: a projection has a record before it has any JSON, so it is never taken for a pushed image. */
  async #isPushed(id: ImageId): Promise<boolean> {
    return (
      (await this.#storage.head(layout.imageJson(id))) !== undefined && !(await hasProjectionRecord(this.#storage, id))
    );
  }
}
