// Storing the bytes of a blob, before any repository links to them.
//
// Bytes whose digest is known beforehand are stored under it (`oci/blobs/`), others under a fresh uuid (`oci/data/`) with a
// marker that names their digest (`oci/digests/`). No key of bytes is written twice.
import { createHash, randomUUID } from 'node:crypto';
import { checkDigest, digestOf } from '../../model/content-digest.ts';
import { parseJson } from '../../model/json.ts';
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../model/names.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { concatBytes, KiB, MiB } from '../../streams/bytes.ts';
import type { BlobLink } from './link.ts';

/** Bodies up to this size are read into memory: their digest is known before they are stored. */
const SMALL_BYTES = 4 * MiB;

/** Larger bodies are not parsed to find out whether they are JSON. */
const MAX_TYPED_JSON_BYTES = 64 * KiB;

/** Stored bytes. Where `isNew` is false, a collector may be about to delete them: link them by `Blobs.linkExisting`. */
export type StoredBlob = BlobLink & { digest: Digest; isNew: boolean };

/**
 * Stores a blob in one pass. Up to 4 MiB one storage request, else those of `StorageDriver.putStream`. If `body` throws or has
 * another digest than `expected`, nothing is stored.
 * @throws RegistryError DIGEST_INVALID
 */
export async function storeBlob(
  storage: StorageDriver,
  body: AsyncIterable<Uint8Array>,
  options: { expected?: Digest; algorithm?: DigestAlgorithm; signal?: AbortSignal },
): Promise<StoredBlob> {
  const { expected, signal } = options;
  const algorithm = expected ? algorithmOf(expected) : (options.algorithm ?? 'sha256');
  const source = body[Symbol.asyncIterator]();
  const beginning: Uint8Array[] = [];
  let sizeBytes = 0;
  while (sizeBytes <= SMALL_BYTES) {
    const next = await source.next();
    if (next.done)
      return await storeSmallBlob(storage, concatBytes(beginning), { algorithm, ...(expected && { expected }) });
    beginning.push(next.value);
    sizeBytes += next.value.length;
  }

  const hash = createHash(algorithm);
  let digest: Digest | undefined;
  async function* hashed() {
    for (const chunk of beginning.splice(0)) {
      hash.update(chunk);
      yield chunk;
    }
    for await (const chunk of { [Symbol.asyncIterator]: () => source }) {
      sizeBytes += chunk.length;
      hash.update(chunk);
      yield chunk;
    }
    digest = `${algorithm}:${hash.digest('hex')}` as Digest;
    if (expected) checkDigest(digest, expected); // throwing within the body aborts the upload
  }
  const key = expected ? layout.blob(expected) : layout.data(randomUUID());
  // If the key exists, it holds the same bytes: a digest was its name, or the uuid is fresh.
  const etag = await storage.putStream(key, hashed(), { ifAbsent: true, ...(signal && { signal }) });
  if (!digest) throw new Error(`${key} was stored before its body had ended`);
  return { digest, sizeBytes, key, isNew: etag !== undefined };
}

/** As `storeBlob`, for bytes in memory. One storage request. */
export async function storeSmallBlob(
  storage: StorageDriver,
  bytes: Uint8Array,
  { expected, algorithm = 'sha256' }: { expected?: Digest; algorithm?: DigestAlgorithm } = {},
): Promise<StoredBlob> {
  const digest = digestOf(bytes, expected ? algorithmOf(expected) : algorithm);
  if (expected) checkDigest(digest, expected);
  const key = layout.blob(digest);
  const etag = await storage.put(key, bytes, {
    ifAbsent: true,
    ...(looksLikeJson(bytes) && AS_JSON),
    ...(algorithmOf(digest) === 'sha256' && { sha256: digest.slice('sha256:'.length) }),
  });
  return { digest, sizeBytes: bytes.length, key, isNew: etag !== undefined };
}

/** Configs are stored with the type of JSON, so that the S3 console shows them. Clients get every blob as bytes. */
function looksLikeJson(bytes: Uint8Array): boolean {
  return bytes.length <= MAX_TYPED_JSON_BYTES && bytes[0] === 0x7b && parseJson(bytes) !== undefined;
}

/**
 * The bytes to link to: those that were stored earlier under this digest, else `stored`, which then gets its marker. Three
 * storage requests for bytes under a uuid, two of them side by side; none for others.
 */
export async function deduplicateBlob(storage: StorageDriver, stored: StoredBlob): Promise<StoredBlob> {
  const { digest, sizeBytes, key } = stored;
  if (!layout.isData(key)) return stored;
  const old = await findStored(storage, digest);
  if (old) return { digest, sizeBytes, key: old.key, isNew: false };
  await storage.put(layout.digestMarker(digest, lastPartOf(key)), new Uint8Array());
  return stored;
}

/**
 * Checks a digest by another algorithm than the one that ran while the bytes arrived. Reads them again.
 * @throws RegistryError DIGEST_INVALID
 */
export async function rehashBlob(storage: StorageDriver, stored: StoredBlob, expected: Digest): Promise<StoredBlob> {
  const object = await storage.get(stored.key);
  if (!object) throw new Error(`${stored.key} is gone`);
  const algorithm = algorithmOf(expected);
  const hash = createHash(algorithm);
  for await (const chunk of object.body) hash.update(chunk);
  checkDigest(`${algorithm}:${hash.digest('hex')}` as Digest, expected);
  return { ...stored, digest: expected };
}

/** Bytes with this digest, of any repository. Two storage requests side by side, and a third for bytes under a uuid. */
export async function findStored(storage: StorageDriver, digest: Digest): Promise<BlobLink | undefined> {
  const [named, marked] = await Promise.all([storage.head(layout.blob(digest)), firstMarkedData(storage, digest)]);
  return named ?? (marked && (await storage.head(marked)));
}

async function firstMarkedData(storage: StorageDriver, digest: Digest): Promise<Key | undefined> {
  for await (const marker of storage.list(layout.digestMarkers(digest))) return layout.data(lastPartOf(marker.key));
  return undefined;
}
