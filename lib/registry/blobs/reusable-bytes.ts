// Bytes that lie in storage since before this request. A collector may be about to delete them: it marks them, and deletes them
// a grace period later if nothing refers to them by then. A mark is never taken back. So bytes may be linked only after a look
// at the marks of their digest, and while that look is valid.
import { randomUUID } from 'node:crypto';
import { imageOfLayer, type Key, layout, parseBlobRecord } from '../../model/layout.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { isCorruptMark } from '../condemned/corrupt-mark.ts';
import { Look } from '../condemned/look.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import type { BlobLink } from './link.ts';

/** Bytes in storage. */
export type StoredBytes = BlobLink & { digest: Digest };

/**
 * Bytes that may be linked while the look is valid. The look at bytes that this process has stored begins when they are stored:
 * the collector leaves them alone for two days.
 */
export type StoredBlob = StoredBytes & { look: Look };

/**
 * The bytes that a digest has in storage, as a look found them: the first without a mark, or the first that the collector has
 * marked, and the keys of those that are corrupt.
 */
export type FoundBytes = {
  digest: Digest;
  look: Look;
  unmarked?: BlobLink;
  marked?: BlobLink;
  corrupt?: ReadonlySet<Key>;
};

/** Makes sure that the collector keeps an image, by its cell. @throws RegistryError UNAVAILABLE if it is removing the image */
export type LookAtImage = (id: ImageId, look: Look) => Promise<void>;

export type ReusableBytesOptions = { lookAtImage?: LookAtImage | undefined; times?: CollectionTimes | undefined };

/** Finds bytes that may be linked. Nothing else in the registry links bytes that were stored by an earlier request. */
export class ReusableBytes {
  readonly #storage: StorageDriver;
  readonly #lookAtImage: LookAtImage;
  readonly #times: CollectionTimes;

  /** @param options.times other than the defaults in tests only */
  constructor(storage: StorageDriver, { lookAtImage, times = COLLECTION_TIMES }: ReusableBytesOptions = {}) {
    this.#storage = storage;
    this.#lookAtImage = lookAtImage ?? (async () => undefined);
    this.#times = times;
  }

  startLook(): Look {
    return new Look(this.#times);
  }

  /** Looks for the bytes of a digest, of any repository. One LIST, and one more for each 1,000 marks. */
  async find(digest: Digest): Promise<FoundBytes> {
    const look = this.startLook();
    const marks = new Map<string, { isCorrupt: boolean }>();
    const corrupt = new Set<Key>();
    let marked: BlobLink | undefined;
    // Marks come first in byte order, so all of them are read before the bytes.
    for await (const { key, sizeBytes } of this.#storage.list(layout.blobFolder(digest))) {
      const record = parseBlobRecord(key);
      if (!record) continue;
      if (record.kind === 'mark') {
        marks.set(record.uuid, { isCorrupt: isCorruptMark({ sizeBytes }) });
        continue;
      }
      const bytes =
        record.kind === 'copy' ? { sizeBytes, key } : { sizeBytes: record.sizeBytes, key: layout.data(record.uuid) };
      const mark = marks.get(record.uuid);
      if (!mark) return { digest, look, unmarked: bytes };
      if (mark.isCorrupt) corrupt.add(bytes.key);
      else marked ??= bytes;
    }
    return { digest, look, corrupt, ...(marked && { marked }) };
  }

  /**
   * Bytes of this digest that may be linked. No storage request where `found` has bytes without a mark. Otherwise for the layer
   * of a v1 image a look at its cell, and for other bytes a copy on the server: those of `StorageDriver.copyIfAbsent`. Corrupt
   * bytes are not copied.
   * @param known where else the bytes are, also under a key of an older layout: what a link or a layer descriptor names
   * @returns `undefined` if there are no bytes
   */
  async choose(
    { digest, look, unmarked, marked, corrupt }: FoundBytes,
    known?: BlobLink,
  ): Promise<StoredBlob | undefined> {
    if (unmarked) return { digest, ...unmarked, look };
    const image = known && imageOfLayer(known.key);
    if (known && image !== undefined) {
      await this.#lookAtImage(image, look);
      return { digest, sizeBytes: known.sizeBytes, key: known.key, look };
    }
    for (const source of [known, marked]) {
      if (!source || corrupt?.has(source.key)) continue;
      const key = layout.blobCopy(digest, randomUUID());
      if (await this.#storage.copyIfAbsent(source.key, key)) {
        return { digest, sizeBytes: source.sizeBytes, key, look: this.startLook() };
      }
    }
    return undefined;
  }

  /** `find` and `choose`; no LIST for the layer of a v1 image. */
  async reuse(digest: Digest, known?: BlobLink): Promise<StoredBlob | undefined> {
    const isImageLayer = known !== undefined && imageOfLayer(known.key) !== undefined;
    const found = isImageLayer ? { digest, look: this.startLook() } : await this.find(digest);
    return await this.choose(found, known);
  }
}
