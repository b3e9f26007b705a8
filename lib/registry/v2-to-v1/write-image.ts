// Writes the objects of one image of a projection.
import { createHash } from 'node:crypto';
import { KeyLocks } from '../../concurrency/key-locks.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver, StorageUnavailableError } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { BlobLink } from '../blobs/link.ts';
import { earlierLook, type Look } from '../condemned/look.ts';
import { writeChecksums } from '../v1-images/checksums.ts';
import type { SeenImage } from '../v1-images/image-cell.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers, LayerDescriptor } from '../v1-images/layers.ts';
import { claimForProjection, completeProjection, findProjectionRecord } from '../v1-images/projection-record.ts';
import type { GzipLayers } from './gzip-layers.ts';
import { imageJson, type ProjectedImage } from './image-chain.ts';

/** How many images are remembered as whole: those of the bases that are pushed again and again. */
const MAX_REMEMBERED = 10_000;

export type WriteOptions = {
  /** The manifest that is projected, for the projection record. */
  manifest: Digest;
  /** Of the image's layer. */
  link: BlobLink | undefined;
  /** As in `ImageProjections.project`. */
  looksAnew: boolean;
};

export class ProjectionWriter {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #layers: ImageLayers;
  readonly #gzipLayers: GzipLayers;
  readonly #copiesLayers: boolean;
  readonly #locks = new KeyLocks();
  /** The looks by which images were found whole, or made so. */
  readonly #whole = new LruCache<ImageId, Look>({ max: MAX_REMEMBERED });

  /** @param options.copiesLayers as in `ProjectionOptions` */
  constructor(
    storage: StorageDriver,
    dependencies: { images: Images; looks: ImageLooks; layers: ImageLayers; gzipLayers: GzipLayers },
    { copiesLayers }: { copiesLayers: boolean },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#layers = dependencies.layers;
    this.#gzipLayers = dependencies.gzipLayers;
    this.#copiesLayers = copiesLayers;
  }

  /**
   * Writes the image unless it is stored already. Three storage requests for an image that is; none if this process has found it
   * whole by a look that is still valid.
   * @throws CorruptLayerError if the layer cannot be decompressed
   * @throws RegistryError UNAVAILABLE if the collector is removing the image
   */
  async write(image: ProjectedImage, options: WriteOptions): Promise<void> {
    // Projections of images with the same base share the images of that base, and may be made at the same time.
    await this.#locks.run(image.id, () => this.#writeAlone(image, options));
  }

  /** The record first; then the layer before the JSON, so that v1 clients find the whole image or none of it. */
  async #writeAlone(image: ProjectedImage, { manifest, link, looksAnew }: WriteOptions): Promise<void> {
    const { id, ancestry, layer } = image;
    if (!looksAnew && this.#whole.get(id)?.isValid) return;
    const seen = await this.#looks.at(id);
    if (await this.#isWhole(id, seen)) {
      this.#whole.set(id, seen.look);
      return;
    }
    if (!link) throw new Error(`no link for ${layer.digest}`);
    const { look: lookAtBytes, ...servedLayer } = await this.#gzipLayers.find(layer, link);
    // To compress a layer takes long.
    const { look, ...kind } = seen.look.isValid ? seen : await this.#looks.at(id);
    const record = await claimForProjection(this.#storage, id, {
      manifest,
      created: image.created,
      seen: { look, ...kind },
    });
    if (record.replacesPushedImage) await this.#removePushedImage(id, look);
    const json = encodeText(imageJson(image, record.created));
    const putAncestry = async () =>
      await this.#storage.put(layout.imageAncestry(id), encodeText(pythonJson(ancestry)), { ...AS_JSON, look });
    const putDescriptor = async () =>
      await this.#layers.putDescriptor(id, servedLayer, { look: earlierLook(look, lookAtBytes) });
    await Promise.all([putDescriptor(), putAncestry()]);
    // Not over the layer of a pushed image: blob links and presigned URLs may point to that object.
    if (this.#copiesLayers && !record.replacesPushedImage) await this.#copyLayer(id, json, servedLayer);
    const written = look.isValid ? look : await this.#lookAgain(id);
    await this.#storage.put(layout.imageJson(id), json, { ...AS_JSON, look: written });
    // A v1 push that began before the claim may have hidden the image.
    await this.#storage.delete(layout.imageInProgress(id));
    await completeProjection(this.#storage, id, record, written);
    this.#whole.set(id, written);
  }

  /**
   * Whether all objects of the projection are stored. A v1 push of the same id that began before the claim, and was abandoned,
   * leaves `_inprogress`; a collector that has stopped in the middle leaves some of the objects.
   */
  async #isWhole(id: ImageId, { isProjection, hasDescriptor }: SeenImage): Promise<boolean> {
    if (!isProjection || !hasDescriptor) return false;
    const [record, isWhole] = await Promise.all([findProjectionRecord(this.#storage, id), this.#images.isWhole(id)]);
    return isWhole && record?.isComplete === true;
  }

  /** To copy a layer takes long. @throws StorageUnavailableError if what was written before may have been removed meanwhile */
  async #lookAgain(id: ImageId): Promise<Look> {
    const { look, hasDescriptor } = await this.#looks.at(id);
    if (!hasDescriptor) throw new StorageUnavailableError(`image ${id} was removed while it was made`);
    return look;
  }

  /**
   * Removes what a v1 client pushed under the id. `_inprogress` hides the image until the projection is complete, so no client
   * reads a mix of the two. The pushed layer stays, since blob links may point to it; v1 no longer serves it.
   */
  async #removePushedImage(id: ImageId, look: Look): Promise<void> {
    await this.#images.setInProgress(id, look);
    const others = [layout.imageChecksum(id), layout.imageFiles(id), layout.imageDiff(id)];
    await mapConcurrently(others, (key) => this.#storage.delete(key));
  }

  async #copyLayer(id: ImageId, json: Uint8Array, { key }: LayerDescriptor): Promise<void> {
    const target = layout.imageLayer(id);
    // An attempt that failed may have left a copy of another layer.
    // The collector decides about a v1 image by its cell, not by the time of its layer.
    if (!(await this.#storage.copyIfAbsent(key, target, { mayKeepTime: true }))) {
      await this.#storage.delete(target);
      await this.#storage.copyIfAbsent(key, target, { mayKeepTime: true });
    }
    const object = await this.#storage.get(key);
    if (!object) throw new Error(`${key} is missing`);
    const sum = createHash('sha256').update(json).update('\n');
    for await (const chunk of object.body) sum.update(chunk);
    await writeChecksums(this.#storage, id, [`sha256:${sum.digest('hex')}`]);
  }
}
