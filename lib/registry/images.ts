// v1 images: objects under `images/<id>/`, written as docker-registry wrote them. The mark `_inprogress` hides an image
// from readers until its checksum was confirmed.
import { createHash } from 'node:crypto';
import { type Bytes, decodeText, encodeText, readAll } from '../bytes.ts';
import { RegistryError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { type Key, layout } from '../layout.ts';
import { type ImageId, isImageId } from '../names.ts';
import type { ByteRange, StorageDriver } from '../storage/driver.ts';
import { PRESIGNED_SECONDS } from './blobs.ts';
import { noSuchParent, type ParsedImageJson } from './image-json.ts';
import type { ImageLayers } from './image-layers.ts';
import { LayerScan } from './layer-scan.ts';
import { pythonJson } from './python-json.ts';

export type ImageJson = {
  /** Byte for byte as it was pushed: sums are computed over them. */
  bytes: Bytes;
  /** Absent if the image has no layer. */
  layerSizeBytes?: number;
  checksums: string[];
};

export type ImageLayer = { key: Key; sizeBytes: number };

export type LayerContent = { url: URL } | { body: ReadableStream<Uint8Array> };

/** The images of v1, which have no repository. */
export class Images {
  readonly #storage: StorageDriver;
  readonly #layers: ImageLayers;

  constructor(storage: StorageDriver, layers: ImageLayers) {
    this.#storage = storage;
    this.#layers = layers;
  }

  async findJson(id: ImageId): Promise<Bytes | undefined> {
    const object = await this.#storage.get(layout.imageJson(id));
    return object && (await readAll(object.body));
  }

  /** This image first, its base last. */
  async findAncestry(id: ImageId): Promise<ImageId[] | undefined> {
    const object = await this.#storage.get(layout.imageAncestry(id));
    if (!object) return undefined;
    const value = parseJson(await readAll(object.body));
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
   * Five storage requests, side by side.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE
   */
  async json(id: ImageId): Promise<ImageJson> {
    const [bytes, isComplete, layer, checksums] = await Promise.all([
      this.findJson(id),
      this.isComplete(id),
      this.#layers.find(id),
      this.#checksums(id),
    ]);
    checkReadable(bytes, isComplete);
    return { bytes, checksums, ...(layer && { layerSizeBytes: layer.sizeBytes }) };
  }

  /** @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async ancestry(id: ImageId): Promise<ImageId[]> {
    const [ancestry, isComplete] = await Promise.all([this.findAncestry(id), this.isComplete(id)]);
    checkReadable(ancestry, isComplete);
    return ancestry;
  }

  /** @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async layer(id: ImageId): Promise<ImageLayer> {
    const [layer, isComplete] = await Promise.all([this.#layers.find(id), this.isComplete(id)]);
    checkReadable(layer, isComplete);
    return layer;
  }

  /** A URL if it is wanted and storage can give one, else the bytes or a range of them. */
  async openLayer(layer: ImageLayer, options: { redirect: boolean; range?: ByteRange }): Promise<LayerContent> {
    const { redirect, range } = options;
    const url = redirect && (await this.#storage.presign?.('GET', layer.key, { expiresSeconds: PRESIGNED_SECONDS }));
    if (url) return { url };
    const object = await this.#storage.get(layer.key, range ? { range } : {});
    if (!object) throw new RegistryError('IMAGE_UNKNOWN', 'Image not found');
    return { body: object.body };
  }

  /**
   * Takes the JSON of an image, which begins its push: the mark, then everything else.
   * @throws RegistryError IMAGE_INVALID if there is no such parent; IMAGE_EXISTS
   */
  async putJson({ id, parent, bytes }: ParsedImageJson): Promise<void> {
    const [stored, isComplete, isView, ancestry] = await Promise.all([
      this.exists(id),
      this.isComplete(id),
      this.#storage.head(layout.imageView(id)),
      this.#ancestryOf(id, parent),
    ]);
    // The id of a view belongs to the manifest of which it is the digest.
    if (isView || (stored && isComplete)) throw imageExists();
    await this.#storage.put(layout.imageInProgress(id), encodeText('true'));
    await this.#storage.delete(layout.imageChecksum(id));
    await Promise.all([
      this.#storage.put(layout.imageJson(id), bytes),
      this.#storage.put(layout.imageAncestry(id), encodeText(pythonJson(ancestry))),
    ]);
  }

  async #ancestryOf(id: ImageId, parent: ImageId | undefined): Promise<ImageId[]> {
    if (!parent) return [id];
    const ancestry = await this.findAncestry(parent);
    if (!ancestry || ancestry.includes(id)) throw noSuchParent();
    return [id, ...ancestry];
  }

  /**
   * Takes the layer of an image whose push is under way, in one pass. It is readable once `confirmChecksum` agrees.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_EXISTS
   */
  async putLayer(id: ImageId, body: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const [json, before, isComplete] = await Promise.all([
      this.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
      this.isComplete(id),
    ]);
    if (!json) throw new RegistryError('IMAGE_UNKNOWN', 'Image not found');
    if (before && isComplete) throw imageExists();

    const scan = new LayerScan();
    const payload = createHash('sha256').update(json).update('\n');
    const key = layout.imageLayer(id);
    const etag = await this.#storage.putStream(key, this.#unlessComplete(id, scan.through(body), payload), {
      // Of two pushes of one image, the one that ends later must not replace what the other has put there.
      ...(before ? { ifMatch: before.etag } : { ifAbsent: true }),
      ...(signal && { signal }),
    });
    if (!etag) throw imageExists();
    const checksum = `sha256:${payload.digest('hex')}`;
    await Promise.all([
      this.#layers.keep(id, { ...scan.facts, key, etag }),
      this.#storage.put(layout.imageChecksum(id), encodeText(pythonJson([checksum]))),
    ]);
  }

  /** Hashes a layer as it passes; at its end, fails if another push has completed the image in the meantime. */
  async *#unlessComplete(id: ImageId, body: AsyncIterable<Uint8Array>, payload: ReturnType<typeof createHash>) {
    for await (const chunk of body) {
      payload.update(chunk);
      yield chunk;
    }
    if (await this.isComplete(id)) throw imageExists();
  }

  /**
   * Ends the push of an image: if one of the client's sums is that of what arrived, the mark goes.
   * @param claimed `sha256:` and the SHA-256 over JSON, newline and layer as sent
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_CHECKSUM_INVALID
   */
  async confirmChecksum(id: ImageId, claimed: string[]): Promise<void> {
    const [exists, isComplete, checksums, layer] = await Promise.all([
      this.exists(id),
      this.isComplete(id),
      this.#checksums(id),
      this.#layers.describe(id),
    ]);
    if (!exists) throw new RegistryError('IMAGE_UNKNOWN', 'Image not found');
    if (isComplete) throw new RegistryError('IMAGE_EXISTS', 'Cannot set this image checksum');
    if (!layer || !claimed.some((checksum) => checksums.includes(checksum))) {
      throw new RegistryError('IMAGE_CHECKSUM_INVALID', 'Checksum mismatch');
    }
    await this.#storage.delete(layout.imageInProgress(id));
  }

  /** All forms that ever were: a JSON array, or one sum without quotes, perhaps with a newline. */
  async #checksums(id: ImageId): Promise<string[]> {
    const object = await this.#storage.get(layout.imageChecksum(id));
    if (!object) return [];
    const bytes = await readAll(object.body);
    const value = parseJson(bytes);
    if (Array.isArray(value)) return value.filter((sum) => typeof sum === 'string');
    const text = decodeText(bytes).trim();
    return text === '' ? [] : [text];
  }
}

function imageExists(): RegistryError {
  return new RegistryError('IMAGE_EXISTS', 'Image already exists');
}

function checkReadable<T>(object: T | undefined, isComplete: boolean): asserts object is T {
  if (!isComplete) throw new RegistryError('IMAGE_INCOMPLETE', 'Image is being uploaded, retry later');
  if (object === undefined) throw new RegistryError('IMAGE_UNKNOWN', 'Image not found');
}
