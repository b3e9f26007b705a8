// v1 images: the objects below `images/<id>/`, as docker-registry wrote them. While `_inprogress` exists, the image is being
// pushed and is hidden from readers.

import { LRUCache } from 'lru-cache';
import { RegistryError } from '../../model/errors.ts';
import { parseJson } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import { type ImageId, isImageId } from '../../model/names.ts';
import { AS_TEXT, type ByteRange, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import { PRESIGNED_SECONDS } from '../blobs/blobs.ts';
import type { Look } from '../condemned/look.ts';
import { readChecksums } from './checksums.ts';
import type { ImageLayers } from './layers.ts';

/** Complete images are remembered, because a client asks for the JSON, the ancestry and the layer of each in turn. */
const REMEMBERED = { max: 10_000, ttl: 30_000 };

/** A complete image: its layer, if that was asked for, and the ETag of the JSON that was stored with it. */
type Remembered = { layer?: ImageLayer; jsonETag?: ETag };

export type ImageJson = {
  /** Byte for byte as the client sent it: checksums are computed over it. */
  bytes: Bytes;
  /** Absent if the image has no layer. */
  layerSizeBytes?: number;
  checksums: string[];
};

export type ImageLayer = { key: Key; sizeBytes: number };

/** Reads v1 images. They belong to no repository: `ImageRights` decides who may read one. */
export class Images {
  readonly #storage: StorageDriver;
  readonly #layers: ImageLayers;
  /** Complete images do not change, except that a projection may replace one: see `forgetIfReplaced`. */
  readonly #complete = new LRUCache<ImageId, Remembered>(REMEMBERED);

  constructor(storage: StorageDriver, layers: ImageLayers) {
    this.#storage = storage;
    this.#layers = layers;
  }

  /** The JSON as the client sent it, whether or not the image is complete. One storage request. */
  async findJson(id: ImageId): Promise<Bytes | undefined> {
    const object = await this.#storage.read(layout.imageJson(id));
    return object?.bytes;
  }

  /**
   * Forgets a pushed image that a projection has replaced. Call it for an id that turns out to be a projection.
   * @returns whether a pushed image was remembered, so that what was read before may be wrong
   */
  forgetIfReplaced(id: ImageId): boolean {
    return this.#complete.get(id)?.layer?.key === layout.imageLayer(id) && this.#complete.delete(id);
  }

  /**
   * Hides the image from readers until its push, or its projection, is complete. One storage request.
   * @param look absent to hide an image again that turns out not to be whole
   */
  async setInProgress(id: ImageId, look?: Look): Promise<void> {
    await this.#storage.put(layout.imageInProgress(id), encodeText('true'), { ...AS_TEXT, ...(look && { look }) });
    this.#complete.delete(id);
  }

  /** The ids from this image down to its base, whether or not the image is complete. One storage request. */
  async findAncestry(id: ImageId): Promise<ImageId[] | undefined> {
    const object = await this.#storage.read(layout.imageAncestry(id));
    if (!object) return undefined;
    const ancestry = decodeAncestry(object.bytes);
    if (!ancestry) throw new Error(`${object.info.key} is not an ancestry`);
    return ancestry;
  }

  /** Whether no push of the image is under way. One storage request. */
  async isComplete(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageInProgress(id))) === undefined;
  }

  /** Whether the image is complete, with JSON and ancestry. One storage request. */
  async isWhole(id: ImageId): Promise<boolean> {
    const keys = new Set<Key>();
    for await (const { key } of this.#storage.list(layout.image(id))) keys.add(key);
    return (
      keys.has(layout.imageJson(id)) && keys.has(layout.imageAncestry(id)) && !keys.has(layout.imageInProgress(id))
    );
  }

  /** Whether the image has a JSON. One storage request. */
  async exists(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageJson(id))) !== undefined;
  }

  /**
   * The image's JSON with its checksums and the size of its layer. Five storage requests, side by side; fewer if the image is
   * remembered.
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

  /** One or two storage requests. @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async ancestry(id: ImageId): Promise<ImageId[]> {
    const known = this.#complete.get(id);
    const [ancestry, isComplete] = await Promise.all([this.findAncestry(id), known ? true : this.isComplete(id)]);
    checkReadable(ancestry, isComplete);
    if (!known) this.#complete.set(id, {});
    return ancestry;
  }

  /** Three storage requests, none if the image is remembered. @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async layer(id: ImageId): Promise<ImageLayer> {
    const known = this.#complete.get(id);
    if (known?.layer) return known.layer;
    const [layer, isComplete] = await Promise.all([this.#layers.find(id), known ? true : this.isComplete(id)]);
    checkReadable(layer, isComplete);
    this.#complete.set(id, { ...known, layer });
    return layer;
  }

  /** A URL from which storage serves the layer; `undefined` if the storage has no URLs. No storage request. */
  async presignLayer(layer: ImageLayer): Promise<URL | undefined> {
    return await this.#storage.presign?.('GET', layer.key, { expiresSeconds: PRESIGNED_SECONDS });
  }

  /** The bytes of the layer, or a range of them. One storage request. @throws RegistryError IMAGE_UNKNOWN if it is deleted */
  async readLayer(layer: ImageLayer, range?: ByteRange): Promise<ReadableStream<Uint8Array>> {
    const object = await this.#storage.get(layer.key, range ? { range } : {});
    if (!object) throw imageUnknown();
    return object.body;
  }

  /**
   * The layer as it is now, not as it is remembered: a projection may have replaced it. Three storage requests, side by side.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE
   */
  async currentLayer(id: ImageId): Promise<ImageLayer> {
    const [layer, isComplete] = await Promise.all([this.#layers.find(id), this.isComplete(id)]);
    checkReadable(layer, isComplete);
    return layer;
  }
}

/** The ids in `images/<id>/ancestry`, this image first; `undefined` if the object is damaged. */
export function decodeAncestry(bytes: Uint8Array): ImageId[] | undefined {
  const value = parseJson(bytes);
  return Array.isArray(value) && value.every(isImageId) ? value : undefined;
}

export function imageUnknown(): RegistryError {
  return new RegistryError('IMAGE_UNKNOWN', 'Image not found');
}

function checkReadable<T>(object: T | undefined, isComplete: boolean): asserts object is T {
  if (!isComplete) throw new RegistryError('IMAGE_INCOMPLETE', 'Image is being uploaded, retry later');
  if (object === undefined) throw imageUnknown();
}
