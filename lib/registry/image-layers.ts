import { encodeText, readAll } from '../bytes.ts';
import { isJsonObject, parseJson } from '../json.ts';
import { type Key, layout } from '../layout.ts';
import { type Digest, type ImageId, parseDigest } from '../names.ts';
import type { ETag, StorageDriver } from '../storage/driver.ts';
import { type LayerFacts, type LayerFormat, LayerScan } from './layer-scan.ts';

/** What the layer of a v1 image is for v2; kept in `oci/images/<id>/layer.json`. */
export type LayerDescriptor = LayerFacts & { key: Key; etag: ETag };

/** The layers of v1 images, described for v2. */
export class ImageLayers {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** Keeps what a scan of the layer found. One storage request. */
  async keep(id: ImageId, descriptor: LayerDescriptor): Promise<void> {
    await this.#storage.put(layout.imageLayerDescriptor(id), encode(descriptor), { contentType: 'application/json' });
  }

  /**
   * What is known of the layer that lies there now: two storage requests, side by side. A layer that nobody has
   * described (docker-registry wrote it) is read once, whole. `undefined` if the image has no layer.
   */
  async describe(id: ImageId): Promise<LayerDescriptor | undefined> {
    const [layer, kept] = await Promise.all([
      this.#storage.head(layout.imageLayer(id)),
      this.#storage.get(layout.imageLayerDescriptor(id)),
    ]);
    if (!layer) return undefined;
    const descriptor = kept && decode(await readAll(kept.body));
    return descriptor?.etag === layer.etag ? descriptor : await this.#scan(id);
  }

  async #scan(id: ImageId): Promise<LayerDescriptor | undefined> {
    const object = await this.#storage.get(layout.imageLayer(id));
    if (!object) return undefined;
    const scan = new LayerScan();
    for await (const _ of scan.through(object.body)) {
      // the bytes are only measured
    }
    const descriptor = { ...scan.facts, key: object.info.key, etag: object.info.etag };
    await this.keep(id, descriptor);
    return descriptor;
  }
}

function encode({ sizeBytes, digest, diffId, format, etag, key }: LayerDescriptor): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, digest, diffId, format, etag, key }));
}

/** `undefined` if it is not whole, as after a change of this format: the layer is then read again. */
function decode(bytes: Uint8Array): LayerDescriptor | undefined {
  const value = parseJson(bytes);
  if (!isJsonObject(value)) return undefined;
  const { size, digest, diffId, format, etag, key } = value;
  if (typeof size !== 'number' || typeof digest !== 'string' || typeof format !== 'string') return undefined;
  if (typeof etag !== 'string' || typeof key !== 'string') return undefined;
  return {
    sizeBytes: size,
    digest: parseDigest(digest),
    format: format as LayerFormat,
    etag: etag as ETag,
    key: key as Key,
    ...(typeof diffId === 'string' && { diffId: diffId as Digest }),
  };
}
