// A blob that arrives in chunks, each of which may reach another process.
//
// The session carries on the unfinished hash, the multipart upload with its full parts, and the scrap: the last bytes, too few
// for a part. Each scrap has a fresh key, so replaying a session can spoil no upload but its own.
import { createHash, randomUUID } from 'node:crypto';
import type { IHasher } from 'hash-wasm';
import { checkDigest } from '../../model/content-digest.ts';
import { RegistryError } from '../../model/errors.ts';
import { lastPartOf, layout } from '../../model/layout.ts';
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../model/names.ts';
import {
  type StorageDriver,
  StorageFullError,
  StorageUnavailableError,
  type UploadedPart,
} from '../../storage/driver.ts';
import { MAX_PARTS, MIN_PART_BYTES, PART_BYTES } from '../../storage/multipart-limits.ts';
import { concatBytes } from '../../streams/bytes.ts';
import type { StoredBytes } from '../blobs/reusable-bytes.ts';
import type { BlobStore } from '../blobs/store.ts';
import { type ChunkedState, unknownUpload } from './session.ts';

const NO_PARTS = { partCount: 0, etagChain: '', sha256Chain: '' };

/** WebAssembly: its state can be exported, which Node's hash cannot. Loaded when the first chunk arrives. */
async function createHasher(algorithm: DigestAlgorithm): Promise<IHasher> {
  const { createSHA256, createSHA512 } = await import('./sha-wasm.ts');
  return await (algorithm === 'sha256' ? createSHA256() : createSHA512());
}

/** The state of an upload before its first byte. */
export async function emptyChunkedState(algorithm: DigestAlgorithm): Promise<ChunkedState> {
  const hash = await createHasher(algorithm);
  return { kind: 'chunked', sizeBytes: 0, algorithm, hashState: exportHash(hash.init()) };
}

/**
 * Adds a chunk. If it fails, the client can repeat it with the session that it has. If storage is full, the upload ends and its
 * parts are deleted.
 * @throws RegistryError BLOB_UPLOAD_UNKNOWN if the parts are gone
 */
export async function appendChunk(
  storage: StorageDriver,
  uuid: string,
  state: ChunkedState,
  body: AsyncIterable<Uint8Array>,
): Promise<ChunkedState> {
  const { rest, ...next } = await discardIfFull(storage, state, uploadParts(storage, uuid, state, body));
  if (rest.length === 0) return next;
  if (rest.length >= MIN_PART_BYTES) {
    const multipart = await discardIfFull(storage, next, addPart(storage, uuid, next.multipart, rest));
    return { ...next, multipart };
  }
  const scrap = { uuid: randomUUID(), sizeBytes: rest.length };
  await discardIfFull(storage, next, storage.put(layout.uploadScrap(scrap.uuid), rest));
  return { ...next, scrap };
}

/** Deletes the parts and the scrap if storage is full: until the upload expires they would keep it full. */
async function discardIfFull<T>(storage: StorageDriver, state: ChunkedState, writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    if (error instanceof StorageFullError) await discardChunks(storage, state).catch(() => undefined);
    throw error;
  }
}

/**
 * Adds the last bytes and completes the object if it has the digest `expected`.
 * @throws RegistryError DIGEST_INVALID, and then the upload has ended; BLOB_UPLOAD_UNKNOWN
 */
export async function finishChunks(
  { storage, store }: { storage: StorageDriver; store: BlobStore },
  uuid: string,
  state: ChunkedState,
  body: AsyncIterable<Uint8Array>,
  expected: Digest,
): Promise<StoredBytes> {
  const { rest, ...last } = await discardIfFull(storage, state, uploadParts(storage, uuid, state, body));
  const { sizeBytes } = last;
  if (!last.multipart) return await discardIfFull(storage, state, store.putSmall(rest, { expected }));

  const digest = `${state.algorithm}:${(await importHash(last)).digest('hex')}` as Digest;
  const isSameAlgorithm = algorithmOf(expected) === state.algorithm;
  if (isSameAlgorithm && digest !== expected) await storage.abortMultipart(last.multipart);
  if (isSameAlgorithm) checkDigest(digest, expected);
  const adding = rest.length > 0 ? addPart(storage, uuid, last.multipart, rest) : last.multipart;
  const multipart = await discardIfFull(storage, last, Promise.resolve(adding));
  const { key } = multipart;
  const parts = (await storage.listParts(multipart))?.slice(0, multipart.partCount);
  if (!parts) {
    // An earlier commit whose answer was lost has completed the upload, if the pointer that it wrote is there.
    if (!(await storage.head(layout.blobPointer(expected, lastPartOf(key), sizeBytes)))) throw unknownUpload(uuid);
    return { digest: expected, sizeBytes, key };
  }
  if (!arePartsOf(parts, multipart)) throw unknownUpload(uuid);
  const completing = storage.completeMultipart(multipart, parts);
  if (!(await discardIfFull(storage, { ...last, multipart }, completing))) throw unknownUpload(uuid);
  const stored = { digest, sizeBytes, key };
  return isSameAlgorithm ? stored : await store.putAgain(stored, expected);
}

/** Deletes the parts and the scrap of an upload. */
export async function discardChunks(storage: StorageDriver, state: ChunkedState): Promise<void> {
  await Promise.all([
    state.multipart && storage.abortMultipart(state.multipart),
    state.scrap && storage.delete(layout.uploadScrap(state.scrap.uuid)),
  ]);
}

/** Uploads scrap and body in full parts. `rest` are the last bytes, fewer than a part. */
async function uploadParts(
  storage: StorageDriver,
  uuid: string,
  state: ChunkedState,
  body: AsyncIterable<Uint8Array>,
): Promise<ChunkedState & { rest: Uint8Array }> {
  const hash = await importHash(state);
  let { sizeBytes, multipart } = state;
  let pending = state.scrap ? [await readScrap(storage, uuid, state.scrap.uuid)] : [];
  let pendingBytes = state.scrap?.sizeBytes ?? 0;
  try {
    for await (const chunk of body) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes >= PART_BYTES) {
        multipart = await addPart(storage, uuid, multipart, concatBytes(pending));
        pending = [];
        pendingBytes = 0;
      }
    }
  } catch (error) {
    await abortIfBegunHere(storage, state.multipart, multipart);
    throw error;
  }
  return {
    kind: 'chunked',
    sizeBytes,
    algorithm: state.algorithm,
    hashState: exportHash(hash),
    ...(multipart && { multipart }),
    rest: concatBytes(pending),
  };
}

async function readScrap(storage: StorageDriver, uuid: string, scrapUuid: string): Promise<Uint8Array> {
  const object = await storage.read(layout.uploadScrap(scrapUuid));
  if (!object) throw unknownUpload(uuid);
  return object.bytes;
}

type Multipart = NonNullable<ChunkedState['multipart']>;

async function addPart(
  storage: StorageDriver,
  uuid: string,
  before: Multipart | undefined,
  bytes: Uint8Array,
): Promise<Multipart> {
  const upload = before ?? { ...(await storage.createMultipart(layout.data(randomUUID()))), ...NO_PARTS };
  const partNumber = upload.partCount + 1;
  if (partNumber > MAX_PARTS) throw new RegistryError('SIZE_INVALID', `an upload has ${MAX_PARTS} parts at most`);
  const part = await storage.uploadPart(upload, partNumber, bytes).catch(async (error: unknown) => {
    await abortIfBegunHere(storage, before, upload);
    throw error;
  });
  if (!part) throw unknownUpload(uuid);
  return { ...upload, ...chainsWith(upload, part) };
}

/** Aborts a multipart upload that a failing request began: no session names it. Errors are dropped in favour of the first one. */
async function abortIfBegunHere(
  storage: StorageDriver,
  named: Multipart | undefined,
  begun: Multipart | undefined,
): Promise<void> {
  if (begun && !named) await storage.abortMultipart(begun).catch(() => undefined);
}

type Chains = typeof NO_PARTS;

/** Hashes over this part and all parts before it. */
function chainsWith({ partCount, etagChain, sha256Chain }: Chains, { partNumber, etag, sha256 }: UploadedPart): Chains {
  const chain = (before: string, proof = '') =>
    createHash('sha256').update(`${before} ${partNumber} ${proof}`).digest('base64url');
  return { partCount: partCount + 1, etagChain: chain(etagChain, etag), sha256Chain: chain(sha256Chain, sha256) };
}

/** Whether these are the parts of the session. S3 servers that keep no SHA-256 of parts list none: then their ETags decide. */
function arePartsOf(parts: readonly UploadedPart[], signed: Chains): boolean {
  const { partCount, etagChain, sha256Chain } = parts.reduce(chainsWith, NO_PARTS);
  if (partCount !== signed.partCount || etagChain !== signed.etagChain) return false;
  return sha256Chain === signed.sha256Chain || parts.every(({ sha256 }) => sha256 === undefined);
}

function exportHash(hash: IHasher): string {
  return Buffer.from(hash.save()).toString('base64url');
}

async function importHash({ algorithm, hashState }: ChunkedState): Promise<IHasher> {
  const hash = await createHasher(algorithm);
  try {
    return hash.load(Buffer.from(hashState, 'base64url'));
  } catch (cause) {
    // Another version of this program signed the session: the client uploads again.
    throw new StorageUnavailableError('another version began this upload', { cause });
  }
}
