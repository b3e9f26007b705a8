import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { JsonObject } from '../../model/json.ts';
import { layout, type ManifestPath } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { ReusableBytes } from '../blobs/reusable-bytes.ts';
import type { BlobStore } from '../blobs/store.ts';
import type { PushedManifest } from '../tags/pushed-manifest.ts';
import type { TagTarget } from '../tags/target.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { SeenImage } from '../v1-images/image-cell.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import { decodeAncestry, type Images, sumOf } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import { claimForProjection } from '../v1-images/projection-record.ts';
import { GzipLayers } from './gzip-layers.ts';
import { chainIds, type ProjectedImage, projectChain } from './image-chain.ts';
import { type SourceImage, SourceImages } from './source-image.ts';
import { type PreparedImage, ProjectionWriter, type WriteOptions } from './write-image.ts';

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
  grants: ImageGrants;
};

/** A projection that is stored and granted. */
export type Projection = {
  /** The top projection. */
  id: ImageId;
  /** Of the v2 image. */
  config: JsonObject;
};

export type ProjectOptions = {
  /** Whether to look also at images that this process saw whole a short time ago. */
  looksAnew?: boolean;
  /** What the put of the manifest has read. */
  pushed?: PushedManifest | undefined;
  /** The look at the top projection, if there was one. */
  seen?: SeenImage | undefined;
};

/** Makes v1 images from v2 manifests. */
export class ImageProjections {
  readonly #storage: StorageDriver;
  readonly #sources: SourceImages;
  readonly #writer: ProjectionWriter;
  readonly #looks: ImageLooks;

  constructor(
    storage: StorageDriver,
    { images, looks, layers, grants, ...bytes }: ProjectionDependencies,
    { copiesLayers, unpackLimits }: ProjectionOptions,
  ) {
    const gzipLayers = new GzipLayers(bytes, unpackLimits);
    this.#storage = storage;
    this.#sources = new SourceImages(storage, bytes.blobs);
    this.#looks = looks;
    this.#writer = new ProjectionWriter(storage, { images, looks, layers, grants, gzipLayers }, { copiesLayers });
  }

  /** Looks at a top projection before it is made. One storage request. @throws as `project` */
  async look(id: ImageId): Promise<SeenImage> {
    return await this.#looks.at(id);
  }

  /**
   * Projects what a tag names, and grants each image to the repository. Images that are stored already stay. The tag is there, so
   * the collector keeps each image that is looked at here. For each image that is new a LIST and three PUTs; one or two storage
   * requests less for each that is not, and those of `SourceImages.find`.
   * @returns `undefined` if v1 has no form for it: an artifact, a v1 image, an image that is broken or has too many layers
   * @throws RegistryError UNAVAILABLE if the collector is removing one of the images
   */
  async project(
    repository: RepositoryName,
    { digest, imageId: id }: TagTarget,
    { looksAnew = false, pushed, seen: seenBefore }: ProjectOptions = {},
  ): Promise<Projection | undefined> {
    const source = id && (await this.#sources.find(repository, digest, pushed));
    if (!source) return undefined;
    const manifests: ManifestPath = source.digest === digest ? [digest] : [digest, source.digest];
    const optionsOf = ({ layer }: ProjectedImage): WriteOptions => {
      return { repository, manifests, link: source.links.get(layer.digest), looksAnew };
    };
    const found = seenBefore ?? (await this.#looks.at(id));
    try {
      const claimed = await this.#claimIfReplacing(source, id, digest, found);
      const seen = claimed ? { ...found, hasRecord: true } : found;
      const chosen = claimed ?? (await this.#findChosenIds(source, id, seen));
      const { below, top } = await this.#prepareChain(source, id, { chosen, looksAnew });
      await mapConcurrently(below, ({ image, prepared }) => this.#writer.write(image, prepared, optionsOf(image)));
      // The top last: where it is whole and granted, the whole chain is.
      const prepared = await this.#writer.prepare(top, { looksAnew }, seen.look.isValid ? seen : undefined);
      await this.#writer.write(top, prepared, optionsOf(top));
    } catch (error) {
      if (error instanceof CorruptLayerError) return undefined;
      throw error;
    }
    return { id, config: source.config };
  }

  /**
   * The images of the chain, those below the top looked at. Where a v1 client has pushed an image under one of the ids, that image
   * stays, and the projection has unpredictable ids from there on.
   */
  async #prepareChain(
    source: SourceImage,
    id: ImageId,
    { chosen, looksAnew }: { chosen: readonly ImageId[] | undefined; looksAnew: boolean },
  ): Promise<{ below: { image: ProjectedImage; prepared: PreparedImage }[]; top: ProjectedImage }> {
    const digests = source.layers.slice(0, -1).map((layer) => layer.digest);
    const prepare = async (idsBelowTop: readonly ImageId[]) => {
      const images = projectChain([...idsBelowTop, id], source.config, source.layers);
      const below = await mapConcurrently(images.slice(0, -1), async (image) => {
        return { image, prepared: await this.#writer.prepare(image, { looksAnew }) };
      });
      const [top] = images.slice(-1);
      if (!top) throw new Error(`image ${id} has no layers`);
      return { below, top };
    };
    const first = await prepare(chosen ?? chainIds(digests));
    const isPushed = first.below.findIndex(({ prepared }) => prepared.state === 'pushed');
    if (chosen || isPushed === -1) return first;
    return await prepare(idsAbove(source, chainIds(digests).slice(0, isPushed)));
  }

  /**
   * Claims the id of a top projection that has a record, or is to get one because a v1 client has pushed an image under it.
   * @returns the ids of the images below it, base first; `undefined` for any other
   */
  async #claimIfReplacing(
    source: SourceImage,
    id: ImageId,
    manifest: Digest,
    { look, hasRecord, isProjection, hasPushRecords }: SeenImage,
  ): Promise<readonly ImageId[] | undefined> {
    const isReplacing = hasRecord || (!isProjection && hasPushRecords && (await this.#writer.isPushed(id)));
    if (!isReplacing) return undefined;
    const chooseIdsBelowTop = () => this.#chooseIds(source);
    const claim = { manifest, seen: { look, hasRecord }, chooseIdsBelowTop };
    return (await claimForProjection(this.#storage, id, claim)).idsBelowTop;
  }

  /** The ids of the images below a top projection that is stored, base first, if its grants describe its ancestry. */
  async #findChosenIds(
    source: SourceImage,
    id: ImageId,
    { descriptions }: SeenImage,
  ): Promise<readonly ImageId[] | undefined> {
    if (descriptions.length === 0) return undefined;
    const stored = await this.#storage.read(layout.imageAncestry(id));
    const ancestry = stored && decodeAncestry(stored.bytes);
    const isDescribed = descriptions.some(({ content }) => stored && content.ancestrySum === sumOf(stored.bytes));
    if (!isDescribed || ancestry?.length !== source.layers.length) return undefined;
    return ancestry.slice(1).toReversed();
  }

  async #chooseIds(source: SourceImage): Promise<ImageId[]> {
    const ids = chainIds(source.layers.slice(0, -1).map(({ digest }) => digest));
    const arePushed = await mapConcurrently(ids, (id) => this.#writer.isPushed(id));
    return arePushed.includes(true) ? idsAbove(source, ids.slice(0, arePushed.indexOf(true))) : ids;
  }
}

/** These ids, and unpredictable ones for the images above them, up to the one below the top. */
function idsAbove({ layers, manifest }: SourceImage, free: ImageId[]): ImageId[] {
  const digests = layers.slice(free.length, -1).map(({ digest }) => digest);
  return [...free, ...chainIds(digests, { parent: free.at(-1), manifest })];
}
