import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { digestOf } from '../../model/content-digest.ts';
import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type ImageKind, lastPartOf, layout } from '../../model/layout.ts';
import { type Descriptor, MEDIA_TYPES, parseManifest } from '../../model/manifest.ts';
import { type Digest, type ImageId, isImageId, type RepositoryName } from '../../model/names.ts';
import { AS_JSON, AS_TEXT, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import type { ReusableBytes, StoredBlob } from '../blobs/reusable-bytes.ts';
import type { BlobStore } from '../blobs/store.ts';
import { earlierLook, type Look } from '../condemned/look.ts';
import { hasManifest } from '../condemned/read-manifest.ts';
import type { DescribedProjections } from '../v1-images/described-projections.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import { type ImageRights, readerOf } from '../v1-images/image-rights.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImmutableImageTags } from '../v1-images/immutable-image-tags.ts';
import type { ImageLayers, LayerDescriptor } from '../v1-images/layers.ts';
import { findProjectionRecord, isProjection } from '../v1-images/projection-record.ts';
import { type ChainLink, imageConfig } from './image-config.ts';

export type ConvertedManifest = { digest: Digest; bytes: Bytes };

/** The first bytes of every conversion. It has no white space, unlike the manifests that Docker pushes. */
const CONVERSION_START = encodeText(
  `{"schemaVersion":2,"mediaType":"${MEDIA_TYPES.dockerManifest}","config":{"mediaType"`,
);

/** Whether a manifest may be a conversion; false if a client must have pushed it. */
export function mayBeConversion(manifest: Uint8Array): boolean {
  return Buffer.compare(manifest.subarray(0, CONVERSION_START.length), CONVERSION_START) === 0;
}

/** A v1 image with its layer, unless that is empty. */
type LayeredImage = ChainLink & { layer?: LayerDescriptor };

/** An image and its ancestors, base first, all of which were there at this look. */
type Chain = { images: LayeredImage[]; look: Look };

/**
 * Converts v1 images to v2 manifests. A conversion is made once, from the ancestry, the JSON documents and the layers, and
 * stored; the layers in it are the stored objects themselves.
 */
export class ImageConversions {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #store: BlobStore;
  readonly #reusable: ReusableBytes;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #layers: ImageLayers;
  readonly #rights: ImageRights;
  readonly #described: DescribedProjections;
  readonly #immutableImageTags: ImmutableImageTags;
  readonly #creating = new Map<ImageId, Promise<ConvertedManifest>>();

  constructor(
    storage: StorageDriver,
    dependencies: {
      blobs: Blobs;
      store: BlobStore;
      reusable: ReusableBytes;
      images: Images;
      looks: ImageLooks;
      layers: ImageLayers;
      rights: ImageRights;
      described: DescribedProjections;
      immutableImageTags: ImmutableImageTags;
    },
  ) {
    this.#storage = storage;
    this.#blobs = dependencies.blobs;
    this.#store = dependencies.store;
    this.#reusable = dependencies.reusable;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#layers = dependencies.layers;
    this.#rights = dependencies.rights;
    this.#described = dependencies.described;
    this.#immutableImageTags = dependencies.immutableImageTags;
  }

  /** The conversion of this image, if one is stored. One storage request. */
  async find(id: ImageId): Promise<ConvertedManifest | undefined> {
    const object = await this.#storage.read(layout.conversion(id));
    if (!object) return undefined;
    return { digest: digestOf(object.bytes), bytes: object.bytes };
  }

  /**
   * Those of the images whose conversion is this manifest. One storage request, and one for each image found. For a
   * conversion of a version that did not record its sources, one for each image, side by side.
   */
  async findSources(digest: Digest, images: ReadonlySet<ImageId>): Promise<ReadonlySet<ImageId>> {
    const recorded = await Array.fromAsync(this.#storage.list(layout.conversionSources(digest)), ({ key }) =>
      lastPartOf(key),
    );
    const candidates = recorded.length > 0 ? recorded.filter(isImageId).filter((id) => images.has(id)) : [...images];
    const sources = await mapConcurrently(candidates, async (id) =>
      (await this.find(id))?.digest === digest ? [id] : [],
    );
    return new Set(sources.flat());
  }

  /**
   * The conversion of a v1 image, made unless it is stored, with all its blobs linked into the repository. Two storage requests
   * if the repository holds it already.
   *
   * A projection is not converted back: its tag names a manifest, and after the deletion of that manifest the tag must not
   * resolve to a conversion with links to the same blobs. An image built on a projection is converted if the repository has a
   * grant to the projection.
   * @returns `undefined` if the image is missing or incomplete, if it is a projection, or if storing the conversion would
   *   retarget an immutable tag
   * @throws RegistryError MANIFEST_UNKNOWN if v2 has no media type for the format of a layer; UNAVAILABLE if the collector is
   *   removing an image of the chain
   */
  async convert(repository: RepositoryName, id: ImageId): Promise<ConvertedManifest | undefined> {
    const stored = await this.find(id);
    if (stored && (await hasManifest(this.#storage, repository, stored.digest))) return stored;
    const chain = await this.#readChain(repository, id);
    if (!chain) return undefined;
    const manifest = stored ?? (await this.#createOnce(id, chain));
    if (await this.#immutableImageTags.findImmutableTagFor(repository, manifest.digest)) return undefined;
    await this.#link(repository, manifest, chain);
    return manifest;
  }

  /**
   * The image and its ancestors, base first. `undefined` if one of them is missing or incomplete, if the image is a projection,
   * or if an ancestor is a projection without a grant. That is checked before the images are read and again afterwards: an
   * image that becomes a projection in between may have been read as a mix of the two. To read a layer takes long, so the cells of
   * the images are looked at afterwards, and whether the images are still there.
   */
  async #readChain(repository: RepositoryName, id: ImageId): Promise<Chain | undefined> {
    const kind = await this.#usableKind(repository, id);
    const ancestry = kind === 'pushed' && (await this.#images.findAncestry(id));
    if (!ancestry) return undefined;
    const before = await mapConcurrently(ancestry.slice(1), (ancestor) => this.#usableKind(repository, ancestor));
    if (before.includes('none')) return undefined;
    const images = await mapConcurrently(ancestry.toReversed(), (ancestor) => this.#readImage(ancestor));
    const look = this.#looks.start();
    const after = await mapConcurrently(ancestry, (ancestor) => this.#kindOfLive(repository, ancestor));
    if ([kind, ...before].some((kindBefore, index) => kindBefore !== after[index])) return undefined;
    return images.every((image) => image !== undefined) ? { images, look } : undefined;
  }

  /** As `#usableKind`, for an image that is live and exists; `none` for any other. Two storage requests more. */
  async #kindOfLive(repository: RepositoryName, id: ImageId): Promise<ImageKind | 'none'> {
    const { isProjection } = await this.#looks.at(id);
    if (!(await this.#images.exists(id))) return 'none';
    return isProjection ? await this.#usableKind(repository, id) : 'pushed';
  }

  /**
   * What the image is to a conversion in this repository; `none` for a projection without a grant, or not complete. Two storage
   * requests, and for a projection those of `ImageRights.findRight`, and of `DescribedProjections.record` if it has no record.
   */
  async #usableKind(repository: RepositoryName, id: ImageId): Promise<ImageKind | 'none'> {
    const record = await findProjectionRecord(this.#storage, id);
    if (!record && !(await isProjection(this.#storage, id))) return 'pushed';
    if (record && !record.isComplete) return 'none';
    const right = await this.#rights.findRight(id, readerOf(repository));
    if (right?.imageKind !== 'projection') return 'none';
    return !right.source || (await this.#described.record(id, right.source)) ? 'projection' : 'none';
  }

  async #readImage(id: ImageId): Promise<LayeredImage | undefined> {
    const [bytes, layer, isComplete] = await Promise.all([
      this.#images.findJson(id),
      this.#layers.describe(id),
      this.#images.isComplete(id),
    ]);
    const json = bytes && parseJson(bytes);
    if (!isJsonObject(json) || !layer || !isComplete) return undefined;
    if (layer.format === 'empty') return { json };
    if (!layer.diffId) {
      const reason = layer.exceeds
        ? `unpacks to more than ${layer.exceeds.maxBytes} bytes, or to more than ${layer.exceeds.maxRatio} times its size`
        : `is ${layer.format}, which v2 cannot serve`;
      throw new RegistryError('MANIFEST_UNKNOWN', `the layer of image ${id} ${reason}`, {
        detail: { image: id, format: layer.format },
      });
    }
    return { json, layer, diffId: layer.diffId };
  }

  /** Clients that ask for one conversion at the same time share it, so that one config is stored. */
  async #createOnce(id: ImageId, chain: Chain): Promise<ConvertedManifest> {
    const creating = this.#creating.get(id) ?? this.#create(id, chain).finally(() => this.#creating.delete(id));
    this.#creating.set(id, creating);
    return await creating;
  }

  async #create(id: ImageId, { images, look }: Chain): Promise<ConvertedManifest> {
    const config = await this.#store.putSmall(encodeText(imageConfig(images)));
    const bytes = encodeText(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.dockerManifest,
        config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.sizeBytes, digest: config.digest },
        layers: images.flatMap(({ layer }) =>
          layer
            ? {
                mediaType: layer.format === 'gzip' ? MEDIA_TYPES.dockerLayerGzip : MEDIA_TYPES.dockerLayerTar,
                size: layer.sizeBytes,
                digest: layer.digest,
              }
            : [],
        ),
      }),
    );
    // The source record first: where a conversion is stored, its digest leads to the image.
    const source = layout.conversionSource(digestOf(bytes), id);
    await this.#storage.put(source, encodeText(randomUUID()), { ...AS_TEXT, look });
    const isFirst = await this.#storage.put(layout.conversion(id), bytes, { ifAbsent: true, ...AS_JSON, look });
    // Another process may have stored its conversion first. That one is the conversion for every client.
    return (isFirst ? undefined : await this.find(id)) ?? { digest: digestOf(bytes), bytes };
  }

  /** Links the blobs first and stores the manifest last: where the manifest is, all its blobs can be read. */
  async #link(
    repository: RepositoryName,
    { digest, bytes }: ConvertedManifest,
    { images, look }: Chain,
  ): Promise<void> {
    const layers = new Map(images.flatMap(({ layer }) => (layer ? [[layer.digest, layer]] : [])));
    const { blobs, config } = parseManifest(bytes);
    await mapConcurrently(blobs, async (blob) => {
      const isConfig = blob.digest === config?.digest;
      const stored = isConfig
        ? await this.#findConfig(blob.digest, images)
        : await this.#findLayer(blob, layers.get(blob.digest));
      await this.#blobs.link(repository, { ...stored, look: earlierLook(look, stored.look) });
    });
    // The collector removes links that no manifest names.
    await this.#storage.put(layout.manifest(repository, digest), bytes, {
      contentType: MEDIA_TYPES.dockerManifest,
      look,
    });
  }

  async #findLayer({ digest, sizeBytes }: Descriptor, layer: BlobLink | undefined): Promise<StoredBlob> {
    const stored = layer && (await this.#reusable.reuse(digest, { sizeBytes, key: layer.key }));
    if (!stored) throw new Error(`the layer ${digest} of a stored conversion is missing`);
    return stored;
  }

  /** The config, made again if the collector has deleted it. */
  async #findConfig(digest: Digest, images: LayeredImage[]): Promise<StoredBlob> {
    const stored = await this.#reusable.reuse(digest);
    if (stored) return stored;
    const bytes = encodeText(imageConfig(images));
    if (digestOf(bytes) !== digest) throw new Error(`the config ${digest} of a stored conversion is missing`);
    return await this.#store.putSmall(bytes);
  }
}
