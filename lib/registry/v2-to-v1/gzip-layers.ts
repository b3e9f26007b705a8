// v1 clients cannot decompress zstd. They get the same tar compressed by gzip, stored as a blob of its own.
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress } from '../../compression/decompress.ts';
import type { LayerFormat } from '../../compression/layer-format.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { Slots } from '../../concurrency/slots.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { Descriptor } from '../../model/manifest.ts';
import type { Digest } from '../../model/names.ts';
import { StorageUnavailableError } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import type { ReusableBytes, StoredBlob, StoredBytes } from '../blobs/reusable-bytes.ts';
import type { BlobStore } from '../blobs/store.ts';

export const UNPACK_SLOTS = { atOnce: 2, maxWaiting: 256 };

/** The layer as it is compressed, and its bytes. */
export type ServedLayer = StoredBlob & { format: LayerFormat };

const REMEMBERED = { max: 10_000, ttlMs: 10 * 60_000 };

/** The layers of v2 images in the formats that v1 clients read. */
export class GzipLayers {
  readonly #blobs: Blobs;
  readonly #store: BlobStore;
  readonly #reusable: ReusableBytes;
  readonly #unpackLimits: UnpackLimits;
  readonly #slots = new Slots(UNPACK_SLOTS);
  /** By the digest of the zstd layer. */
  readonly #gzipped = new LruCache<Digest, Promise<StoredBlob>>(REMEMBERED);

  constructor(
    { blobs, store, reusable }: { blobs: Blobs; store: BlobStore; reusable: ReusableBytes },
    unpackLimits: UnpackLimits,
  ) {
    this.#blobs = blobs;
    this.#store = store;
    this.#reusable = reusable;
    this.#unpackLimits = unpackLimits;
  }

  /**
   * The layer as v1 clients get it, in bytes that a layer descriptor may name. One LIST; if all bytes are condemned, also the
   * requests of a copy on the server. A zstd layer is converted once for each digest, however many layers and manifests name
   * it, and one that is corrupt is not tried again.
   * @param link of the layer
   * @throws CorruptLayerError if zstd cannot be decompressed, or exceeds the unpack limits
   */
  async find({ mediaType, digest }: Descriptor, link: BlobLink): Promise<ServedLayer> {
    const format = formatOf(mediaType);
    if (format !== 'zstd') return { ...(await this.#reuse({ digest, ...link })), format };
    return { ...(await this.#reuse(await this.#findGzipped(digest, link))), format: 'gzip' };
  }

  async #reuse({ digest, sizeBytes, key }: StoredBytes): Promise<StoredBlob> {
    const bytes = await this.#reusable.reuse(digest, { sizeBytes, key });
    if (!bytes) throw new StorageUnavailableError(`the bytes of ${digest} were deleted before an image named them`);
    return bytes;
  }

  async #findGzipped(digest: Digest, link: BlobLink): Promise<StoredBlob> {
    const started = this.#gzipped.get(digest);
    if (started !== undefined) return await started;
    const converting = this.#slots.run(() => this.#convert(link));
    this.#gzipped.set(digest, converting);
    converting.catch((error: unknown) => {
      if (!(error instanceof CorruptLayerError)) this.#gzipped.delete(digest);
    });
    return await converting;
  }

  async #convert(link: BlobLink): Promise<StoredBlob> {
    const tar = decompress(await this.#blobs.read(link), 'zstd', this.#unpackLimits);
    return await this.#store.deduplicate(await this.#store.put(gzip(tar)));
  }
}

/** Whether v1 clients get the layer in another form than v2 clients. */
export function isGzippedAnew({ mediaType }: Descriptor): boolean {
  return formatOf(mediaType) === 'zstd';
}

function formatOf(mediaType: string): LayerFormat {
  if (mediaType.endsWith('zstd')) return 'zstd';
  return mediaType.endsWith('gzip') ? 'gzip' : 'tar';
}

function gzip(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return Readable.from(body, { objectMode: false }).compose(createGzip());
}
