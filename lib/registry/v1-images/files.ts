// `images/<id>/_files`, the list of the files in a layer, made on the first request and kept, as docker-registry did; and
// `images/<id>/_diff`.

import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { Slots } from '../../concurrency/slots.ts';
import { RegistryError } from '../../model/errors.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { encodeText, KiB, MiB } from '../../streams/bytes.ts';
import { type Images, imageUnknown } from './images.ts';

/** About half a million files. The largest layers of real images have some hundred thousand. */
export const MAX_LIST_BYTES = 64 * MiB;

const PIECE_BYTES = 64 * KiB;

/** A list of a million files takes half a minute, on the thread that answers requests. */
const LISTS = { atOnce: 1, maxWaiting: 32 };

/** How often a list is made again because the layer was replaced while it was read. */
const MAX_TRIES = 3;

/** Lists the files in the layers of v1 images. */
export class ImageFiles {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #unpackLimits: UnpackLimits;
  readonly #maxListBytes: number;
  readonly #slots = new Slots(LISTS);
  readonly #running = new Map<ImageId, Promise<void>>();

  constructor(
    storage: StorageDriver,
    images: Images,
    { unpackLimits, maxListBytes = MAX_LIST_BYTES }: { unpackLimits: UnpackLimits; maxListBytes?: number },
  ) {
    this.#storage = storage;
    this.#images = images;
    this.#unpackLimits = unpackLimits;
    this.#maxListBytes = maxListBytes;
  }

  /**
   * The stored list of the layer's files, made if there is none. Concurrent requests for the same list share the work.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE; IMAGE_LAYER_INVALID if the layer is not a tar or its list would be
   *   too long; UNAVAILABLE if too many lists wait to be made
   */
  async find(id: ImageId): Promise<ObjectInfo> {
    const [stored] = await Promise.all([this.#storage.head(layout.imageFiles(id)), this.#images.currentLayer(id)]);
    if (stored) return stored;
    await this.#listOnce(id);
    return (await this.#storage.head(layout.imageFiles(id))) ?? fail(imageUnknown());
  }

  /**
   * What the layer changes in its ancestors, as docker-registry's diff worker stored it. Stowage computes no diffs.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE, IMAGE_DIFF_UNKNOWN
   */
  async findDiff(id: ImageId): Promise<ObjectInfo> {
    const [stored, layer] = await Promise.all([this.#storage.head(layout.imageDiff(id)), this.#images.layer(id)]);
    layer.value(); // the image exists
    return stored ?? fail(new RegistryError('IMAGE_DIFF_UNKNOWN', 'Diff queue is disabled'));
  }

  /** The bytes of a list. @throws RegistryError IMAGE_UNKNOWN if it has been deleted */
  async open({ key }: ObjectInfo): Promise<ReadableStream<Uint8Array>> {
    const object = await this.#storage.get(key);
    return object ? object.body : fail(imageUnknown());
  }

  #listOnce(id: ImageId): Promise<void> {
    let running = this.#running.get(id);
    if (running === undefined) {
      running = this.#slots.run(() => this.#list(id)).finally(() => this.#running.delete(id));
      this.#running.set(id, running);
    }
    return running;
  }

  /** Makes the list and stores it, unless a push or a projection has replaced the layer in the meantime. */
  async #list(id: ImageId): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { key } = await this.#images.currentLayer(id);
      const object = await this.#storage.get(key);
      if (!object) throw imageUnknown();
      try {
        await this.#storage.putStream(layout.imageFiles(id), this.#listed(id, key, object.body), AS_JSON);
        return;
      } catch (error) {
        if (!(error instanceof LayerReplacedError)) throw error;
      }
    }
    throw new RegistryError('IMAGE_INCOMPLETE', 'Image is being uploaded, retry later');
  }

  /** The list as a JSON array, as Python's `json.dumps` writes it, in pieces. */
  async *#listed(id: ImageId, key: Key, layer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { listFiles } = await import('../../tar/layer-files.ts'); // rarely used
    let text = '[';
    let separator = '';
    let listBytes = 0;
    for await (const file of listFiles(layer, this.#unpackLimits)) {
      text += `${separator}${pythonJson(file)}`; // ASCII only: one byte for each character
      separator = ', ';
      if (text.length < PIECE_BYTES) continue;
      listBytes += text.length;
      if (listBytes > this.#maxListBytes)
        throw new RegistryError('IMAGE_LAYER_INVALID', 'Layer has too many files to list');
      yield encodeText(text);
      text = '';
    }
    if ((await this.#images.currentLayer(id)).key !== key) throw new LayerReplacedError();
    yield encodeText(`${text}]`);
  }
}

class LayerReplacedError extends Error {}

function fail(error: RegistryError): never {
  throw error;
}
