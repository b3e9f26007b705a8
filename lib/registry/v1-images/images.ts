// v1 images: objects under `images/<id>/`, written as docker-registry wrote them. The mark `_inprogress` hides an image
// from readers until its checksum was confirmed.

import { LRUCache } from 'lru-cache';
import { RegistryError } from '../../model/errors.ts';
import { parseJson } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import { type ImageId, isImageId } from '../../model/names.ts';
import { AS_TEXT, type ByteRange, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import { PRESIGNED_SECONDS } from '../blobs/blobs.ts';
import { readChecksums } from './checksums.ts';
import type { ImageLayers } from './layers.ts';

/** So many images are remembered for so long: a client asks for the JSON, the ancestry and the layer of each in turn. */
const REMEMBERED = { max: 10_000, ttl: 30_000 };

/** What was seen of an image: its layer, once that was asked for, and which JSON it had beside it. */
type Remembered = { layer?: ImageLayer; jsonETag?: ETag };

export type ImageJson = {
  /** Byte for byte as it was pushed: sums are computed over them. */
  bytes: Bytes;
  /** Absent if the image has no layer. */
  layerSizeBytes?: number;
  checksums: string[];
};

export type ImageLayer = { key: Key; sizeBytes: number };

/** The images of v1, which have no repository. */
export class Images {
  readonly #storage: StorageDriver;
  readonly #layers: ImageLayers;
  /** Those that were seen whole and unmarked. None is ever changed, but that a view may replace it: see `forgetPushed`. */
  readonly #complete = new LRUCache<ImageId, Remembered>(REMEMBERED);

  constructor(storage: StorageDriver, layers: ImageLayers) {
    this.#storage = storage;
    this.#layers = layers;
  }

  async findJson(id: ImageId): Promise<Bytes | undefined> {
    const object = await this.#storage.read(layout.imageJson(id));
    return object?.bytes;
  }

  /**
   * Forgets an image of which it turns out that it is a view, if another is remembered, which the view has replaced.
   * @returns whether it was
   */
  forgetPushed(id: ImageId): boolean {
    return this.#complete.get(id)?.layer?.key === layout.imageLayer(id) && this.#complete.delete(id);
  }

  /** Marks an image as one that is not complete, and so not to be read. One storage request. */
  async setInProgress(id: ImageId): Promise<void> {
    await this.#storage.put(layout.imageInProgress(id), encodeText('true'), AS_TEXT);
    this.#complete.delete(id);
  }

  /** This image first, its base last. */
  async findAncestry(id: ImageId): Promise<ImageId[] | undefined> {
    const object = await this.#storage.read(layout.imageAncestry(id));
    if (!object) return undefined;
    const value = parseJson(object.bytes);
    if (!Array.isArray(value) || !value.every(isImageId)) throw new Error(`${object.info.key} is not an ancestry`);
    return value;
  }

  async isComplete(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageInProgress(id))) === undefined;
  }

  async exists(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageJson(id))) !== undefined;
  }

  /**
   * Five storage requests, side by side; fewer for an image of which something was read a moment ago.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE
   */
  async json(id: ImageId): Promise<ImageJson> {
    const known = this.#complete.get(id);
    const [object, isComplete, layer, checksums] = await Promise.all([
      this.#storage.read(layout.imageJson(id)),
      known ? true : this.isComplete(id),
      (known?.jsonETag && known.layer) ?? this.#layers.find(id),
      readChecksums(this.#storage, id),
    ]);
    const jsonETag = object?.info.etag;
    if (known?.jsonETag && known.jsonETag !== jsonETag) {
      this.#complete.delete(id);
      return await this.json(id);
    }
    const bytes = object?.bytes;
    checkReadable(bytes, isComplete);
    this.#complete.set(id, { ...(layer && { layer }), ...(jsonETag && { jsonETag }) });
    return { bytes, checksums, ...(layer && { layerSizeBytes: layer.sizeBytes }) };
  }

  /** @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async ancestry(id: ImageId): Promise<ImageId[]> {
    const known = this.#complete.get(id);
    const [ancestry, isComplete] = await Promise.all([this.findAncestry(id), known ? true : this.isComplete(id)]);
    checkReadable(ancestry, isComplete);
    if (!known) this.#complete.set(id, {});
    return ancestry;
  }

  /** @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async layer(id: ImageId): Promise<ImageLayer> {
    const known = this.#complete.get(id);
    if (known?.layer) return known.layer;
    const [layer, isComplete] = await Promise.all([this.#layers.find(id), known ? true : this.isComplete(id)]);
    checkReadable(layer, isComplete);
    this.#complete.set(id, { ...known, layer });
    return layer;
  }

  /** Where storage itself serves the bytes; `undefined` if it cannot. No storage request. */
  async presignLayer(layer: ImageLayer): Promise<URL | undefined> {
    return await this.#storage.presign?.('GET', layer.key, { expiresSeconds: PRESIGNED_SECONDS });
  }

  /** The bytes, or a range of them. @throws RegistryError IMAGE_UNKNOWN */
  async readLayer(layer: ImageLayer, range?: ByteRange): Promise<ReadableStream<Uint8Array>> {
    const object = await this.#storage.get(layer.key, range ? { range } : {});
    if (!object) throw imageUnknown();
    return object.body;
  }

  /**
   * The layer as it is now, whatever is remembered: it may have become another since. Three storage requests, side by side.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE
   */
  async currentLayer(id: ImageId): Promise<ImageLayer> {
    const [layer, isComplete] = await Promise.all([this.#layers.find(id), this.isComplete(id)]);
    checkReadable(layer, isComplete);
    return layer;
  }
}

export function imageUnknown(): RegistryError {
  return new RegistryError('IMAGE_UNKNOWN', 'Image not found');
}

function checkReadable<T>(object: T | undefined, isComplete: boolean): asserts object is T {
  if (!isComplete) throw new RegistryError('IMAGE_INCOMPLETE', 'Image is being uploaded, retry later');
  if (object === undefined) throw imageUnknown();
}
