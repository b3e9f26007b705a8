// Storing the bytes of a blob, before any repository links to them.
//
// Bytes whose digest is known beforehand are stored as a copy (`oci/blobs/`), others under a uuid (`oci/data/`) with a pointer in
// the folder of their digest. Each key has a uuid of its own, so no key of bytes is written twice, not even after its deletion.
import { randomUUID } from 'node:crypto';
import { checkDigest, digestOf } from '../../model/content-digest.ts';
import { parseJson } from '../../model/json.ts';
import { lastPartOf, layout } from '../../model/layout.ts';
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../model/names.ts';
import { AS_JSON, type PutStreamOptions, type StorageDriver } from '../../storage/driver.ts';
import { concatBytes, KiB, MiB } from '../../streams/bytes.ts';
import { type HashBlocks, hashHere } from '../../streams/hash-blocks.ts';
import type { Look } from '../condemned/look.ts';
import { ReusableBytes, type StoredBlob, type StoredBytes } from './reusable-bytes.ts';

/** Bodies up to this size are read into memory: their digest is known before they are stored. They are not deduplicated. */
const SMALL_BYTES = 4 * MiB;

/** Larger bodies are not parsed to find out whether they are JSON. */
const MAX_TYPED_JSON_BYTES = 64 * KiB;

export class BlobStore {
  readonly #storage: StorageDriver;
  readonly #reusable: ReusableBytes;

  constructor(storage: StorageDriver, reusable = new ReusableBytes(storage)) {
    this.#storage = storage;
    this.#reusable = reusable;
  }

  startLook(): Look {
    return this.#reusable.startLook();
  }

  /**
   * Stores a blob in one pass. Up to 4 MiB one storage request, else those of `StorageDriver.putStream`, and a LIST if the digest
   * is known. Where bytes of that digest are in storage, the body is hashed all the same and then dropped: the LIST is the only
   * request. If `body` throws or has another digest than `expected`, nothing is stored.
   * @param options.giveBack takes back each chunk of `body` that is no longer needed
   * @param options.hashBlocks hashes bodies of more than 4 MiB. Default: `hashHere`
   * @throws RegistryError DIGEST_INVALID
   */
  async put(
    body: AsyncIterable<Uint8Array>,
    options: { expected?: Digest; algorithm?: DigestAlgorithm; hashBlocks?: HashBlocks } & Pick<
      PutStreamOptions,
      'signal' | 'giveBack'
    > = {},
  ): Promise<StoredBlob> {
    const { expected, signal, giveBack, hashBlocks = hashHere } = options;
    const algorithm = expected ? algorithmOf(expected) : (options.algorithm ?? 'sha256');
    const source = body[Symbol.asyncIterator]();
    const beginning: Uint8Array[] = [];
    let sizeBytes = 0;
    while (sizeBytes <= SMALL_BYTES) {
      const next = await source.next();
      if (next.done) {
        // In memory of its own: the connection of an attempt that storage has refused may still send it after the next attempt.
        const bytes = giveBack ? Buffer.concat(beginning) : concatBytes(beginning);
        if (giveBack) for (const chunk of beginning) giveBack(chunk);
        return await this.putSmall(bytes, { algorithm, ...(expected && { expected }) });
      }
      beginning.push(next.value);
      sizeBytes += next.value.length;
    }

    async function* whole() {
      yield* beginning.splice(0);
      for await (const chunk of { [Symbol.asyncIterator]: () => source }) {
        sizeBytes += chunk.length;
        yield chunk;
      }
    }
    let digest: Digest | undefined;
    async function* hashed() {
      digest = `${algorithm}:${yield* hashBlocks(algorithm, whole())}` as Digest;
      if (expected) checkDigest(digest, expected); // throwing within the body aborts the upload
    }
    const reused = expected && (await this.#findUnmarked(expected));
    if (reused) {
      // Possession of the bytes is what gives the right to them.
      for await (const chunk of hashed()) {
        signal?.throwIfAborted();
        giveBack?.(chunk);
      }
      return reused;
    }
    const key = expected ? layout.blobCopy(expected, randomUUID()) : layout.data(randomUUID());
    await this.#storage.putStream(key, hashed(), {
      ...(signal && { signal }),
      ...(giveBack && { giveBack }),
      bodySha256: () => (algorithm === 'sha256' ? digest?.slice('sha256:'.length) : undefined),
    });
    if (!digest) throw new Error(`${key} was stored before its body had ended`);
    return { digest, sizeBytes, key, look: this.startLook() };
  }

  /** As `put`, for bytes in memory. One storage request. */
  async putSmall(
    bytes: Uint8Array,
    { expected, algorithm = 'sha256' }: { expected?: Digest; algorithm?: DigestAlgorithm } = {},
  ): Promise<StoredBlob> {
    const digest = digestOf(bytes, expected ? algorithmOf(expected) : algorithm);
    if (expected) checkDigest(digest, expected);
    const key = layout.blobCopy(digest, randomUUID());
    await this.#storage.put(key, bytes, {
      ...(looksLikeJson(bytes) && AS_JSON),
      ...(algorithmOf(digest) === 'sha256' && { sha256: digest.slice('sha256:'.length) }),
    });
    return { digest, sizeBytes: bytes.length, key, look: this.startLook() };
  }

  /**
   * The bytes to link to: those that were stored earlier under this digest, else `stored`, which then gets its pointer. Two
   * storage requests for bytes under a uuid; none for others.
   */
  async deduplicate(stored: StoredBlob): Promise<StoredBlob> {
    const { digest, sizeBytes, key } = stored;
    if (!layout.isData(key)) return stored;
    const reused = await this.#findUnmarked(digest);
    if (reused) return reused;
    await this.#storage.put(layout.blobPointer(digest, lastPartOf(key), sizeBytes), new Uint8Array());
    return stored;
  }

  async #findUnmarked(digest: Digest): Promise<StoredBlob | undefined> {
    const { look, unmarked } = await this.#reusable.find(digest);
    return unmarked && { digest, ...unmarked, look };
  }

  /**
   * Stores bytes once more, under a digest by another algorithm than the one that ran while they arrived: one key never has two
   * digests, since a collector decides about its bytes by one of them.
   * @throws RegistryError DIGEST_INVALID
   */
  async putAgain({ key }: StoredBytes, expected: Digest): Promise<StoredBlob> {
    const object = await this.#storage.get(key);
    if (!object) throw new Error(`${key} is gone`);
    return await this.put(object.body, { expected });
  }
}

/** Configs are stored with the type of JSON, so that the S3 console shows them. Clients get every blob as bytes. */
function looksLikeJson(bytes: Uint8Array): boolean {
  return bytes.length <= MAX_TYPED_JSON_BYTES && bytes[0] === 0x7b && parseJson(bytes) !== undefined;
}
