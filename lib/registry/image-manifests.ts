import { type Bytes, encodeText } from '../bytes.ts';
import { mapConcurrently } from '../concurrency.ts';
import { RegistryError } from '../errors.ts';
import { isJsonObject, parseJson } from '../json.ts';
import { layout } from '../layout.ts';
import type { Digest, ImageId, RepositoryName } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { Blobs } from './blobs.ts';
import { type ChainLink, imageConfig } from './image-config.ts';
import type { ImageLayers, LayerDescriptor } from './image-layers.ts';
import type { Images } from './images.ts';
import { MEDIA_TYPES, parseManifest } from './manifest-document.ts';
import { digestOf, storeSmallBlob } from './stored-blobs.ts';

export type MadeManifest = { digest: Digest; bytes: Bytes };

/** How every manifest that is made here begins: without spaces, unlike Docker's own. */
const MADE_BEGINNING = encodeText(
  `{"schemaVersion":2,"mediaType":"${MEDIA_TYPES.dockerManifest}","config":{"mediaType"`,
);

/** False if this manifest was certainly pushed, and not made from a v1 image. */
export function mayBeMade(manifest: Uint8Array): boolean {
  return Buffer.compare(manifest.subarray(0, MADE_BEGINNING.length), MADE_BEGINNING) === 0;
}

/** An image of the chain with its layer, if that is not empty. */
type LayeredImage = ChainLink & { layer?: LayerDescriptor };

/** v1 images as v2 sees them: a manifest made once from ancestry, JSON and layers, over the layers as they lie. */
export class ImageManifests {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #images: Images;
  readonly #layers: ImageLayers;

  constructor(storage: StorageDriver, blobs: Blobs, images: Images, layers: ImageLayers) {
    this.#storage = storage;
    this.#blobs = blobs;
    this.#images = images;
    this.#layers = layers;
  }

  /** The manifest that was made from this image, if one was. One storage request. */
  async madeFrom(id: ImageId): Promise<MadeManifest | undefined> {
    const object = await this.#storage.read(layout.imageManifest(id));
    if (!object) return undefined;
    const bytes = object.bytes;
    return { digest: digestOf(bytes), bytes };
  }

  /**
   * The manifest of a v1 image, made if need be, with everything it names linked into the repository. Two storage
   * requests once that is done. `undefined` if there is no such image, or it is not complete.
   * @throws RegistryError MANIFEST_UNKNOWN if a layer is in a form that v2 does not have
   */
  async provide(repository: RepositoryName, id: ImageId): Promise<MadeManifest | undefined> {
    const made = await this.madeFrom(id);
    if (made && (await this.#storage.head(layout.manifest(repository, made.digest)))) return made;
    const chain = await this.#chain(id);
    if (!chain) return undefined;
    const manifest = made ?? (await this.#make(id, chain));
    await this.#link(repository, manifest, chain);
    return manifest;
  }

  /** The image and its ancestors, base first; `undefined` if one of them is not there or not complete. */
  async #chain(id: ImageId): Promise<LayeredImage[] | undefined> {
    const ancestry = await this.#images.findAncestry(id);
    if (!ancestry) return undefined;
    const images = await mapConcurrently(ancestry.toReversed(), (ancestor) => this.#layeredImage(ancestor));
    return images.every((image) => image !== undefined) ? images : undefined;
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
      throw new RegistryError(
        'MANIFEST_UNKNOWN',
        `the layer of image ${id} is ${layer.format}, which v2 cannot serve`,
        {
          detail: { image: id, format: layer.format },
        },
      );
    }
    return { json, layer, diffId: layer.diffId };
  }

  async #make(id: ImageId, chain: LayeredImage[]): Promise<MadeManifest> {
    const config = await storeSmallBlob(this.#storage, encodeText(imageConfig(chain)));
    const bytes = encodeText(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.dockerManifest,
        config: { mediaType: MEDIA_TYPES.dockerConfig, size: config.sizeBytes, digest: config.digest },
        layers: chain.flatMap(({ layer }) =>
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
    const isFirst = await this.#storage.put(layout.imageManifest(id), bytes, {
      ifAbsent: true,
      contentType: 'application/json',
    });
    // Another process may have been faster. What it wrote is what everybody sees.
    return (isFirst ? undefined : await this.madeFrom(id)) ?? { digest: digestOf(bytes), bytes };
  }

  /** Links first, the manifest last: where the manifest is, everything it names can be read. */
  async #link(repository: RepositoryName, { digest, bytes }: MadeManifest, chain: LayeredImage[]): Promise<void> {
    const layers = new Map(chain.flatMap(({ layer }) => (layer ? [[layer.digest, layer]] : [])));
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
