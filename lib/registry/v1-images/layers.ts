import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress, type LayerFormat } from '../../compression/decompress.ts';
import { OversizedLayerError, type UnpackLimits } from '../../compression/unpack-limits.ts';
import { Slots } from '../../concurrency/slots.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import { type Digest, type ImageId, parseDigest } from '../../model/names.ts';
import { AS_JSON, type Condition, type ETag, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { deduplicateBlob, storeBlob } from '../blobs/store.ts';
import { type LayerFacts, LayerScan } from './layer-scan.ts';

/** The layer of a v1 image, as `oci/images/<id>/layer.json` describes it for v2. */
export type LayerDescriptor = LayerFacts & {
  /** Where the bytes lie that have this digest. */
  key: Key;
  /** Of the object `images/<id>/layer` that it was made from; absent in the view of a v2 image, which has no need of one. */
  etag?: ETag;
  /** Docker's payload sums of a layer that a client has pushed, by the SHA-256 of the JSON that each goes with. */
  sums?: Record<string, string>;
  /** The limits that its content exceeds: it has no diff id until an operator raises them. */
  exceeds?: UnpackLimits;
};

/** Two layers are unpacked at once: bzip2 and xz take the process's one thread. */
const UNPACKINGS = { atOnce: 2, maxWaiting: 64 };

/** A layer that has to be read; `etag` if it is the image's own object. What is found replaces what is kept as `condition` says. */
type Unread = { key: Key; sizeBytes: number; etag?: ETag; condition: Condition };

/** The layers of v1 images, described for v2. */
export class ImageLayers {
  readonly #storage: StorageDriver;
  readonly #limits: UnpackLimits;
  readonly #unpackings = new Slots(UNPACKINGS);
  readonly #scanning = new Map<ImageId, Promise<LayerDescriptor | undefined>>();

  constructor(storage: StorageDriver, limits: UnpackLimits) {
    this.#storage = storage;
    this.#limits = limits;
  }

  /** Keeps what is known of a layer. One storage request. `undefined` if the condition did not hold. */
  async putDescriptor(id: ImageId, descriptor: LayerDescriptor, condition: Condition = {}): Promise<ETag | undefined> {
    return await this.#storage.put(layout.imageLayerDescriptor(id), encode(descriptor), { ...AS_JSON, ...condition });
  }

  /**
   * The payload sums of the layer with this ETag. One storage request. `undefined` where the layer has been described since by
   * something that does not know them, or is another one.
   */
  async payloadSums(id: ImageId, etag: ETag): Promise<Record<string, string> | undefined> {
    const kept = await this.#kept(id);
    return kept?.etag === etag ? kept.sums : undefined;
  }

  /** What v1 clients get: of a view the blob, else the object that a v1 client pushed. Two storage requests, side by side. */
  async find(id: ImageId): Promise<{ key: Key; sizeBytes: number } | undefined> {
    const [layer, descriptor] = await Promise.all([this.#storage.head(layout.imageLayer(id)), this.#kept(id)]);
    return descriptor && !descriptor.etag ? descriptor : layer;
  }

  /**
   * What is known of the layer that lies there now: two storage requests, side by side. A layer that nobody has
   * described (docker-registry wrote it) is read once, whole, and one that v2 has no form for is also stored as a plain
   * tar. `undefined` if the image has no layer.
   * @param onBytes is told of each piece that is read
   */
  async describe(id: ImageId, onBytes?: (sizeBytes: number) => void): Promise<LayerDescriptor | undefined> {
    const state = await this.#state(id);
    if (!state || 'known' in state) return state?.known;
    return await this.#once(id, () => this.#scan(id, state.unread, onBytes));
  }

  /** How much `describe` would have to read; `undefined` for nothing. Two storage requests, side by side. */
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
    const object = await this.#storage.read(layout.imageLayerDescriptor(id));
    return object && decode(object.bytes);
  }

  /** Two requests for one image must not read its layer twice. */
  #once(id: ImageId, scan: () => Promise<LayerDescriptor | undefined>): Promise<LayerDescriptor | undefined> {
    let running = this.#scanning.get(id);
    if (running === undefined) {
      running = scan().finally(() => this.#scanning.delete(id));
      this.#scanning.set(id, running);
    }
    return running;
  }

  /** Reads a layer, and a second time if v2 needs it in another form. What is found is kept. */
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
    const descriptor = this.#isUnpackable(found) ? await this.#unpackings.run(() => this.#unpack(found)) : found;
    // What came meanwhile is newer: a push, or a view that has replaced the image.
    return (await this.putDescriptor(id, descriptor, condition)) ? descriptor : ((await this.#kept(id)) ?? descriptor);
  }

  /** Stores a layer as plain tar: its digest is the diff id, which no compressor's version can change. */
  async #unpack(layer: LayerDescriptor): Promise<LayerDescriptor> {
    const object = await this.#storage.get(layer.key);
    if (!object) throw new Error(`${layer.key} is gone`);
    try {
      const tar = await storeBlob(this.#storage, decompress(object.body, layer.format, this.#limits), {});
      const { digest, sizeBytes, key } = await deduplicateBlob(this.#storage, tar);
      return { ...layer, format: 'tar', sizeBytes, digest, diffId: digest, key };
    } catch (error) {
      if (error instanceof OversizedLayerError) return { ...layer, exceeds: this.#limits };
      if (error instanceof CorruptLayerError) return { ...layer, format: 'unknown' };
      throw error;
    }
  }

  /** v2 has media types for tar, gzip and zstd alone. A layer that was too large once is tried again with larger limits. */
  #isUnpackable({ format, exceeds }: LayerDescriptor): boolean {
    if (format !== 'bzip2' && format !== 'xz') return false;
    return !exceeds || exceeds.maxBytes < this.#limits.maxBytes || exceeds.maxRatio < this.#limits.maxRatio;
  }
}

function encode({ sizeBytes, digest, diffId, format, etag, key, sums, exceeds }: LayerDescriptor): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, digest, diffId, format, etag, key, sums, exceeds }));
}

/** `undefined` if it is not whole, as after a change of this format: the layer is then read again. */
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
