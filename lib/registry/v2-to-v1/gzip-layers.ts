// v1 clients cannot decompress zstd. They get the same tar compressed by gzip, stored as a blob of its own.
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress } from '../../compression/decompress.ts';
import type { LayerFormat } from '../../compression/layer-format.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { Slots } from '../../concurrency/slots.ts';
import type { Descriptor } from '../../model/manifest.ts';
import type { Digest } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import { deduplicateBlob, storeBlob } from '../blobs/store.ts';
import type { LayerDescriptor } from '../v1-images/layers.ts';

export const UNPACK_SLOTS = { atOnce: 2, maxWaiting: 256 };

/** A converted layer that no image names yet is relied on for no longer than this. */
const REMEMBERED = { max: 10_000, ttl: 10 * 60_000 };

/** The layers of v2 images in the formats that v1 clients read. */
export class GzipLayers {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #unpackLimits: UnpackLimits;
  readonly #slots = new Slots(UNPACK_SLOTS);
  /** By the digest of the zstd layer. */
  readonly #gzipped = new LRUCache<Digest, Promise<LayerDescriptor>>(REMEMBERED);

  constructor(storage: StorageDriver, blobs: Blobs, unpackLimits: UnpackLimits) {
    this.#storage = storage;
    this.#blobs = blobs;
    this.#unpackLimits = unpackLimits;
  }

  /**
   * The layer as v1 clients get it. No storage request for tar and gzip. A zstd layer is converted once for each digest,
   * however many layers and manifests name it, and one that is corrupt is not tried again.
   * @throws CorruptLayerError if zstd cannot be decompressed, or exceeds the unpack limits
   */
  async find({ mediaType, digest }: Descriptor, link: BlobLink): Promise<LayerDescriptor> {
    const format = formatOf(mediaType);
    if (format !== 'zstd') return { ...link, digest, format };
    const started = this.#gzipped.get(digest);
    if (started) return await started;
    const converting = this.#slots.run(() => this.#convert(link));
    this.#gzipped.set(digest, converting);
    converting.catch((error: unknown) => {
      if (!(error instanceof CorruptLayerError)) this.#gzipped.delete(digest);
    });
    return await converting;
  }

  async #convert(link: BlobLink): Promise<LayerDescriptor> {
    const tar = decompress(await this.#blobs.read(link), 'zstd', this.#unpackLimits);
    const stored = await deduplicateBlob(this.#storage, await storeBlob(this.#storage, gzip(tar), {}));
    return { ...stored, format: 'gzip' };
  }
}

function formatOf(mediaType: string): LayerFormat {
  if (mediaType.endsWith('zstd')) return 'zstd';
  return mediaType.endsWith('gzip') ? 'gzip' : 'tar';
}

function gzip(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return Readable.from(body, { objectMode: false }).compose(createGzip());
}
