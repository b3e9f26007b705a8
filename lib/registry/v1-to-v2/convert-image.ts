import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { lastPartOf, layout } from '../../model/layout.ts';
import { MEDIA_TYPES, parseManifest } from '../../model/manifest.ts';
import { type Digest, type ImageId, isImageId, type RepositoryName } from '../../model/names.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import { digestOf, storeSmallBlob } from '../blobs/store.ts';
import { type ImageRights, readerOf } from '../v1-images/image-rights.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImmutableImageTags } from '../v1-images/immutable-image-tags.ts';
import type { ImageLayers, LayerDescriptor } from '../v1-images/layers.ts';
import { findProjectionRecord } from '../v1-images/projection-record.ts';
import { type ChainLink, imageConfig } from './image-config.ts';

export type ConvertedManifest = { digest: Digest; bytes: Bytes };

/** How every manifest that is made here begins: without spaces, unlike Docker's own. */
const MADE_BEGINNING = encodeText(
  `{"schemaVersion":2,"mediaType":"${MEDIA_TYPES.dockerManifest}","config":{"mediaType"`,
);

/** False if this manifest was certainly pushed, and not made from a v1 image. */
export function mayBeConversion(manifest: Uint8Array): boolean {
  return Buffer.compare(manifest.subarray(0, MADE_BEGINNING.length), MADE_BEGINNING) === 0;
}

/** An image of the chain with its layer, if that is not empty. */
type LayeredImage = ChainLink & { layer?: LayerDescriptor };

/** v1 images as v2 sees them: a manifest made once from ancestry, JSON and layers, over the layers as they lie. */
export class ImageConversions {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #rights: ImageRights;
  readonly #immutableImageTags: ImmutableImageTags;

  constructor(
    storage: StorageDriver,
    dependencies: {
      blobs: Blobs;
      images: Images;
      layers: ImageLayers;
      rights: ImageRights;
      immutableImageTags: ImmutableImageTags;
    },
  ) {
    this.#storage = storage;
    this.#blobs = dependencies.blobs;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#rights = dependencies.rights;
    this.#immutableImageTags = dependencies.immutableImageTags;
  }

  /** The manifest that was made from this image, if one was. One storage request. */
  async find(id: ImageId): Promise<ConvertedManifest | undefined> {
    const object = await this.#storage.read(layout.conversion(id));
    if (!object) return undefined;
    const bytes = object.bytes;
    return { digest: digestOf(bytes), bytes };
  }

  /**
   * Which of these images the manifest was made from. One storage request, and one for each image found. Of a manifest that
   * was made before such notes were kept, one for each image, side by side.
   */
  async findSources(digest: Digest, images: ReadonlySet<ImageId>): Promise<ReadonlySet<ImageId>> {
    const noted = await Array.fromAsync(this.#storage.list(layout.conversionSources(digest)), ({ key }) =>
      lastPartOf(key),
    );
    const candidates = noted.length > 0 ? noted.filter(isImageId).filter((id) => images.has(id)) : [...images];
    const sources = await mapConcurrently(candidates, async (id) =>
      (await this.find(id))?.digest === digest ? [id] : [],
    );
    return new Set(sources.flat());
  }

  /**
   * The manifest of a v1 image, made if need be, with everything it names linked into the repository. Two storage
   * requests once that is done. `undefined` if there is no such image, or it is not complete, or if an immutable tag would
   * show its manifest instead of what it shows now.
   *
   * A projection never converts back: its tag names a manifest, and where that has just been deleted there must be nothing in
   * its place, nor links to its blobs. An image that is built on one does, where the repository was granted the projection.
   * @throws RegistryError MANIFEST_UNKNOWN if a layer is in a form that v2 does not have
   */
  async convert(repository: RepositoryName, id: ImageId): Promise<ConvertedManifest | undefined> {
    const made = await this.find(id);
    if (made && (await this.#storage.head(layout.manifest(repository, made.digest)))) return made;
    const images = await this.#chain(repository, id);
    if (!images) return undefined;
    const manifest = made ?? (await this.#createConversion(id, images));
    if (await this.#immutableImageTags.findImmutableTagFor(repository, manifest.digest)) return undefined;
    await this.#link(repository, manifest, images);
    return manifest;
  }

  /**
   * The image with its ancestors, base first. `undefined` if one of them is not there or not complete, if the image is a
   * projection, or an ancestor one that the repository was not granted. Asked before the images are read and again afterwards:
   * one that becomes a projection meanwhile is neither the one nor the other.
   */
  async #chain(repository: RepositoryName, id: ImageId): Promise<LayeredImage[] | undefined> {
    const use = await this.#useOf(repository, id);
    const ancestry = use === 'image' && (await this.#images.findAncestry(id));
    if (!ancestry) return undefined;
    const before = await mapConcurrently(ancestry.slice(1), (ancestor) => this.#useOf(repository, ancestor));
    if (before.includes('none')) return undefined;
    const images = await mapConcurrently(ancestry.toReversed(), (ancestor) => this.#layeredImage(ancestor));
    const after = await mapConcurrently(ancestry, (ancestor) => this.#useOf(repository, ancestor));
    if ([use, ...before].some((one, index) => one !== after[index])) return undefined;
    return images.every((image) => image !== undefined) ? images : undefined;
  }

  /** As what the repository may use the image. One storage request, and for a projection those of `ImageRights.findReadableKind`. */
  async #useOf(repository: RepositoryName, id: ImageId): Promise<'image' | 'projection' | 'none'> {
    const view = await findProjectionRecord(this.#storage, id);
    if (!view) return 'image';
    const kind = view.isComplete ? await this.#rights.findReadableKind(id, readerOf(repository)) : undefined;
    return kind === 'projection' ? 'projection' : 'none';
  }

  async #layeredImage(id: ImageId): Promise<LayeredImage | undefined> {
    const [bytes, layer, isComplete] = await Promise.all([
      this.#images.findJson(id),
      this.#layers.describe(id),
      this.#images.isComplete(id),
    ]);
    const json = bytes && parseJson(bytes);
    if (!isJsonObject(json) || !layer || !isComplete) return undefined;
    if (layer.format === 'empty') return { json };
    if (!layer.diffId) {
      const why = layer.exceeds
        ? `unpacks to more than ${layer.exceeds.maxBytes} bytes, or to more than ${layer.exceeds.maxRatio} times its size`
        : `is ${layer.format}, which v2 cannot serve`;
      throw new RegistryError('MANIFEST_UNKNOWN', `the layer of image ${id} ${why}`, {
        detail: { image: id, format: layer.format },
      });
    }
    return { json, layer, diffId: layer.diffId };
  }

  async #createConversion(id: ImageId, images: LayeredImage[]): Promise<ConvertedManifest> {
    const config = await storeSmallBlob(this.#storage, encodeText(imageConfig(images)));
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
    // First, so that whichever manifest is made is found by its digest.
    await this.#storage.put(layout.conversionSource(digestOf(bytes), id), new Uint8Array());
    const isFirst = await this.#storage.put(layout.conversion(id), bytes, { ifAbsent: true, ...AS_JSON });
    // Another process may have been faster. What it wrote is what every client sees.
    return (isFirst ? undefined : await this.find(id)) ?? { digest: digestOf(bytes), bytes };
  }

  /** Links first, the manifest last: where the manifest is, everything it names can be read. */
  async #link(repository: RepositoryName, { digest, bytes }: ConvertedManifest, images: LayeredImage[]): Promise<void> {
    const layers = new Map(images.flatMap(({ layer }) => (layer ? [[layer.digest, layer]] : [])));
    const { blobs, config } = parseManifest(bytes);
    await mapConcurrently(blobs, async (blob) => {
      const key =
        layers.get(blob.digest)?.key ?? (blob.digest === config?.digest ? layout.blob(blob.digest) : undefined);
      if (!key) throw new Error(`the layer ${blob.digest} of a manifest that was made before is gone`);
      await this.#blobs.link(repository, blob.digest, { sizeBytes: blob.sizeBytes, key });
    });
    await this.#storage.put(layout.manifest(repository, digest), bytes, { contentType: MEDIA_TYPES.dockerManifest });
  }
}
