import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress } from '../../compression/decompress.ts';
import type { LayerFormat } from '../../compression/layer-format.ts';
import { OversizedLayerError, type UnpackLimits } from '../../compression/unpack-limits.ts';
import { Slots } from '../../concurrency/slots.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import { type Digest, type ImageId, parseDigest } from '../../model/names.ts';
import { AS_JSON, type Condition, type ETag, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { BlobStore } from '../blobs/store.ts';
import type { Look } from '../condemned/look.ts';
import { type LayerFacts, LayerScan } from './layer-scan.ts';

/** The layer of a v1 image as a blob of v2: `oci/images/<id>/layer.json`. */
export type LayerDescriptor = LayerFacts & {
  /** The object with the bytes of this digest. */
  key: Key;
  /** The ETag of the object `images/<id>/layer` that is described. Absent for a projection, which needs no such object. */
  etag?: ETag;
  /** The payload sums of a pushed layer, by the SHA-256 of the JSON with which each was computed. */
  sums?: Record<string, string>;
  /** The limits that the unpacked layer exceeds. It has no diff id until the operator raises them. */
  exceeds?: UnpackLimits;
};

/** bzip2 and xz are unpacked on the thread that answers requests. */
export const UNPACKINGS = { atOnce: 2, maxWaiting: 64 };

/** A layer to be read. `etag` if it is the object `images/<id>/layer`; `condition` on which the descriptor is written. */
type Unread = { key: Key; sizeBytes: number; etag?: ETag; condition: Condition };

/** The stored descriptor of a layer, whether or not it is that of the layer which is stored now. One storage request. */
export async function readLayerDescriptor(storage: StorageDriver, id: ImageId): Promise<LayerDescriptor | undefined> {
  const object = await storage.read(layout.imageLayerDescriptor(id));
  return object && decode(object.bytes);
}

/** Changes the key of the bytes in a descriptor. Two storage requests. @returns false if it names another key by now */
export async function moveLayer(storage: StorageDriver, id: ImageId, from: Key, to: Key): Promise<boolean> {
  const at = layout.imageLayerDescriptor(id);
  const object = await storage.read(at);
  const descriptor = object && decode(object.bytes);
  if (descriptor?.key !== from) return false;
  const condition = { ...AS_JSON, ...unchanged(object?.info) };
  return (await storage.put(at, encode({ ...descriptor, key: to }), condition)) !== undefined;
}

/**
 * Finds the layer of a projection that grants describe: the blob of the repository by which a right to the projection was found a
 * moment ago. `undefined` for any other image.
 */
export type FindGrantedLayer = (id: ImageId) => Promise<{ key: Key; sizeBytes: number } | undefined>;

/** Describes the layers of v1 images for v2. */
export class ImageLayers {
  readonly #storage: StorageDriver;
  readonly #limits: UnpackLimits;
  readonly #store: BlobStore;
  readonly #findGranted: FindGrantedLayer;
  readonly #unpackings = new Slots(UNPACKINGS);
  readonly #scanning = new Map<ImageId, Promise<LayerDescriptor | undefined>>();

  constructor(
    storage: StorageDriver,
    limits: UnpackLimits,
    { store, findGranted }: { store: BlobStore; findGranted: FindGrantedLayer },
  ) {
    this.#storage = storage;
    this.#limits = limits;
    this.#store = store;
    this.#findGranted = findGranted;
  }

  /**
   * Writes the descriptor of a layer, and before it the marker by which the collector keeps the bytes. Two storage requests.
   * @param options.look at the image and at bytes that were stored earlier: that which began first
   * @returns `undefined` if the condition did not hold
   * @throws StorageUnavailableError if the look has expired
   */
  async putDescriptor(
    id: ImageId,
    descriptor: LayerDescriptor,
    { look, ...condition }: Condition & { look?: Look | undefined } = {},
  ): Promise<ETag | undefined> {
    const covered = look && { look };
    await this.#storage.put(layout.imageBlob(id, descriptor.digest), new Uint8Array(), { ...covered });
    const options = { ...AS_JSON, ...condition, ...covered };
    return await this.#storage.put(layout.imageLayerDescriptor(id), encode(descriptor), options);
  }

  /**
   * The payload sums of the layer with this ETag, by JSON. One storage request. `undefined` if the descriptor is that of another
   * layer, or was written without them.
   */
  async payloadSums(id: ImageId, etag: ETag): Promise<Record<string, string> | undefined> {
    const kept = await this.#kept(id);
    return kept?.etag === etag ? kept.sums : undefined;
  }

  /** What v1 clients get: the blob of a projection, else the pushed layer. Two storage requests, side by side. */
  async find(id: ImageId): Promise<{ key: Key; sizeBytes: number } | undefined> {
    const [layer, projected] = await Promise.all([this.#storage.head(layout.imageLayer(id)), this.findProjected(id)]);
    return projected ?? layer;
  }

  /** The blob of a projection. One storage request. */
  async findProjected(id: ImageId): Promise<{ key: Key; sizeBytes: number } | undefined> {
    const granted = await this.#findGranted(id);
    if (granted) return granted;
    const descriptor = await this.#kept(id);
    return descriptor && !descriptor.etag ? descriptor : undefined;
  }

  /**
   * Describes the layer that is stored now. Two storage requests, side by side, if its descriptor is stored. A layer without
   * one, which docker-registry wrote, is read once as a whole; bzip2 and xz, which v2 cannot serve, are also stored as a plain
   * tar.
   * @param onBytes is called with the size of each piece that is read
   * @returns `undefined` if the image has no layer
   * @throws RegistryError UNAVAILABLE if too many layers wait to be unpacked
   */
  async describe(id: ImageId, onBytes?: (sizeBytes: number) => void): Promise<LayerDescriptor | undefined> {
    const state = await this.#state(id);
    if (!state || 'known' in state) return state?.known;
    return await this.#once(id, () => this.#scan(id, state.unread, onBytes));
  }

  /** How many bytes `describe` would read; `undefined` for none. Two storage requests, side by side. */
  async unreadBytes(id: ImageId): Promise<number | undefined> {
    const state = await this.#state(id);
    return state && 'unread' in state ? state.unread.sizeBytes : undefined;
  }

  async #state(id: ImageId): Promise<{ known: LayerDescriptor } | { unread: Unread } | undefined> {
    const [layer, object] = await Promise.all([
      this.#storage.head(layout.imageLayer(id)),
      this.#storage.read(layout.imageLayerDescriptor(id)),
    ]);
    const kept = object && decode(object.bytes);
    const condition = unchanged(object?.info);
    if (kept && !kept.etag) return kept.diffId ? { known: kept } : { unread: { ...kept, condition } };
    if (!layer) return undefined;
    const isKnown = kept && kept.etag === layer.etag && !this.#isUnpackable(kept);
    return isKnown ? { known: kept } : { unread: { ...layer, condition } };
  }

  async #kept(id: ImageId): Promise<LayerDescriptor | undefined> {
    return await readLayerDescriptor(this.#storage, id);
  }

  /** Requests for the same image share one scan of its layer. */
  #once(id: ImageId, scan: () => Promise<LayerDescriptor | undefined>): Promise<LayerDescriptor | undefined> {
    let running = this.#scanning.get(id);
    if (running === undefined) {
      running = scan().finally(() => this.#scanning.delete(id));
      this.#scanning.set(id, running);
    }
    return running;
  }

  /** Reads a layer, a second time to unpack it if v2 cannot serve it as it is, and writes its descriptor. */
  async #scan(
    id: ImageId,
    { key, etag, condition }: Unread,
    onBytes?: (sizeBytes: number) => void,
  ): Promise<LayerDescriptor | undefined> {
    const object = await this.#storage.get(key);
    if (!object) return undefined;
    const scan = new LayerScan(this.#limits);
    for await (const chunk of scan.through(object.body)) onBytes?.(chunk.length);
    const found: LayerDescriptor = { ...scan.facts, key, ...(etag && { etag: object.info.etag }) };
    const { look, ...descriptor } = this.#isUnpackable(found)
      ? await this.#unpackings.run(() => this.#unpack(found))
      : { ...found, look: undefined };
    const isWritten = await this.putDescriptor(id, descriptor, { ...condition, look });
    // If the condition fails, a push or a projection has written a newer descriptor.
    return isWritten ? descriptor : ((await this.#kept(id)) ?? descriptor);
  }

  /** Stores a layer as a plain tar: its digest is the diff id, so it does not depend on the version of a compressor. */
  async #unpack(layer: LayerDescriptor): Promise<LayerDescriptor & { look?: Look | undefined }> {
    const object = await this.#storage.get(layer.key);
    if (!object) throw new Error(`${layer.key} is gone`);
    try {
      const tar = await this.#store.put(decompress(object.body, layer.format, this.#limits));
      const { digest, sizeBytes, key, look } = await this.#store.deduplicate(tar);
      return { ...layer, format: 'tar', sizeBytes, digest, diffId: digest, key, look };
    } catch (error) {
      if (error instanceof OversizedLayerError) return { ...layer, exceeds: this.#limits };
      if (error instanceof CorruptLayerError) return { ...layer, format: 'unknown' };
      throw error;
    }
  }

  /** v2 has media types for tar, gzip and zstd only. A layer that exceeded the limits is unpacked again when they are raised. */
  #isUnpackable({ format, exceeds }: LayerDescriptor): boolean {
    if (format !== 'bzip2' && format !== 'xz') return false;
    return !exceeds || exceeds.maxBytes < this.#limits.maxBytes || exceeds.maxRatio < this.#limits.maxRatio;
  }
}

function encode({ sizeBytes, digest, diffId, format, etag, key, sums, exceeds }: LayerDescriptor): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, digest, diffId, format, etag, key, sums, exceeds }));
}

/** `undefined` if a field is missing, as in descriptors of an older format: then the layer is read again. */
function decode(bytes: Uint8Array): LayerDescriptor | undefined {
  const value = parseJson(bytes);
  if (!isJsonObject(value)) return undefined;
  const { size, digest, diffId, format, etag, key, sums, exceeds } = value;
  if (typeof size !== 'number' || typeof digest !== 'string') return undefined;
  if (typeof format !== 'string' || typeof key !== 'string') return undefined;
  return {
    sizeBytes: size,
    digest: parseDigest(digest),
    format: format as LayerFormat,
    key: key as Key,
    ...(typeof etag === 'string' && { etag: etag as ETag }),
    ...(typeof diffId === 'string' && { diffId: diffId as Digest }),
    ...(isJsonObject(sums) && { sums: sums as Record<string, string> }),
    ...(isJsonObject(exceeds) && { exceeds: exceeds as UnpackLimits }),
  };
}
