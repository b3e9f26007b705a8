// Writes the objects of one image of a projection.
import { createHash } from 'node:crypto';
import { KeyLocks } from '../../concurrency/key-locks.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { BlobLink } from '../blobs/link.ts';
import { writeChecksums } from '../v1-images/checksums.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers, LayerDescriptor } from '../v1-images/layers.ts';
import { claimForProjection, completeProjection, findProjectionRecord } from '../v1-images/projection-record.ts';
import type { GzipLayers } from './gzip-layers.ts';
import { imageJson, type ProjectedImage } from './image-chain.ts';

export class ProjectionWriter {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #gzipLayers: GzipLayers;
  readonly #copiesLayers: boolean;
  readonly #locks = new KeyLocks();

  /** @param options.copiesLayers as in `ProjectionOptions` */
  constructor(
    storage: StorageDriver,
    dependencies: { images: Images; layers: ImageLayers; gzipLayers: GzipLayers },
    { copiesLayers }: { copiesLayers: boolean },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#gzipLayers = dependencies.gzipLayers;
    this.#copiesLayers = copiesLayers;
  }

  /**
   * Writes the image unless it is stored already. Two storage requests for an image that is.
   * @param manifest the manifest that is projected, for the projection record
   * @param link of the image's layer
   * @throws CorruptLayerError if the layer cannot be decompressed
   */
  async write(image: ProjectedImage, manifest: Digest, link: BlobLink | undefined): Promise<void> {
    // Projections of images with the same base share the images of that base, and may be made at the same time.
    await this.#locks.run(image.id, () => this.#writeAlone(image, manifest, link));
  }

  /** The record first; then the layer before the JSON, so that v1 clients find the whole image or none of it. */
  async #writeAlone(image: ProjectedImage, manifest: Digest, link: BlobLink | undefined): Promise<void> {
    const { id, ancestry, layer } = image;
    // A v1 push of the same id that began before the claim, and was abandoned, leaves `_inprogress`: the image is written again.
    const [stored, isReadable] = await Promise.all([
      findProjectionRecord(this.#storage, id),
      this.#images.isComplete(id),
    ]);
    if (stored?.isComplete && isReadable) return;
    if (!link) throw new Error(`no link for ${layer.digest}`);
    const record = await claimForProjection(this.#storage, id, { manifest, created: image.created });
    if (record.replacesPushedImage) await this.#removePushedImage(id);
    const servedLayer = await this.#gzipLayers.find(layer, link);
    const json = encodeText(imageJson(image, record.created));
    await this.#layers.putDescriptor(id, servedLayer);
    // Not over the layer of a pushed image: blob links and presigned URLs may point to that object.
    if (this.#copiesLayers && !record.replacesPushedImage) await this.#copyLayer(id, json, servedLayer);
    await this.#storage.put(layout.imageAncestry(id), encodeText(pythonJson(ancestry)), AS_JSON);
    await this.#storage.put(layout.imageJson(id), json, AS_JSON);
    // A v1 push that began before the claim may have hidden the image.
    await this.#storage.delete(layout.imageInProgress(id));
    await completeProjection(this.#storage, id, record);
  }

  /**
   * Removes what a v1 client pushed under the id. `_inprogress` hides the image until the projection is complete, so no client
   * reads a mix of the two. The pushed layer stays, since blob links may point to it; v1 no longer serves it.
   */
  async #removePushedImage(id: ImageId): Promise<void> {
    await this.#images.setInProgress(id);
    const others = [layout.imageChecksum(id), layout.imageFiles(id), layout.imageDiff(id)];
    await mapConcurrently(others, (key) => this.#storage.delete(key));
  }

  async #copyLayer(id: ImageId, json: Uint8Array, { key }: LayerDescriptor): Promise<void> {
    const target = layout.imageLayer(id);
    // An attempt that failed may have left a copy of another layer.
    if (!(await this.#storage.copyIfAbsent(key, target))) {
      await this.#storage.delete(target);
      await this.#storage.copyIfAbsent(key, target);
    }
    const object = await this.#storage.get(key);
    if (!object) throw new Error(`${key} is missing`);
    const sum = createHash('sha256').update(json).update('\n');
    for await (const chunk of object.body) sum.update(chunk);
    await writeChecksums(this.#storage, id, [`sha256:${sum.digest('hex')}`]);
  }
}
