import { randomUUID } from 'node:crypto';
import { RegistryError } from '../../model/errors.ts';
import { type Key, layout } from '../../model/layout.ts';
import { algorithmOf, type Digest, type DigestAlgorithm, type RepositoryName } from '../../model/names.ts';
import { type ByteRange, type StorageDriver, StorageUnavailableError } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import { checkDigest, deduplicateBlob, rehashBlob, type StoredBlob, storeBlob } from '../blobs/store.ts';
import { sizeOf, type UploadSession, unknownUpload } from './session.ts';

export type UploadBody = {
  bytes: AsyncIterable<Uint8Array>;
  /** From `Content-Range`; without one the body follows what has come. */
  range?: ByteRange;
  /** From `Content-Length`, if the client said so. */
  sizeBytes?: number;
  signal?: AbortSignal;
};

const NOTHING: UploadBody = {
  bytes: {
    async *[Symbol.asyncIterator]() {
      // no bytes
    },
  },
  sizeBytes: 0,
};

/**
 * Uploads of blobs, from POST to the PUT that ends them.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
 */
export class Uploads {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;

  constructor(storage: StorageDriver, blobs: Blobs) {
    this.#storage = storage;
    this.#blobs = blobs;
  }

  /**
   * No storage request: until bytes come there is nothing to keep.
   * @param algorithm of the digest that the client will name; with another one its bytes are read again
   */
  start(
    repository: RepositoryName,
    algorithm: DigestAlgorithm,
    origins: Pick<UploadSession, 'registryUrl' | 'uploadOrigin'>,
  ): UploadSession {
    const startedAtSeconds = Math.floor(Date.now() / 1000);
    return { uuid: randomUUID(), repository, ...origins, startedAtSeconds, state: { kind: 'started', algorithm } };
  }

  /**
   * Takes a PATCH. The first without a range is most likely the whole blob, which is then stored but not yet linked; what
   * follows is appended to it, at the cost of reading and writing it once more.
   * @throws RegistryError RANGE_INVALID if the chunk does not begin where the last one ended; BLOB_UPLOAD_INVALID
   */
  async append(session: UploadSession, body: UploadBody): Promise<UploadSession> {
    const { state } = session;
    if (!body.range && state.kind === 'started') {
      const { algorithm } = state;
      const { isNew: _, ...stored } = await storeBlob(this.#storage, body.bytes, {
        algorithm,
        ...(body.signal && { signal: body.signal }),
      });
      return { ...session, state: { kind: 'stored', ...stored } };
    }
    checkOrder(session, body);
    const { appendChunk, emptyChunkedState } = await chunkedUploads();
    if (state.kind !== 'stored') {
      const chunked = state.kind === 'chunked' ? state : await emptyChunkedState(state.algorithm);
      return { ...session, state: await appendChunk(this.#storage, session.uuid, chunked, exactly(body)) };
    }
    const more = await unlessEmpty(exactly(body));
    if (!more) return session;
    const empty = await emptyChunkedState(algorithmOf(state.digest));
    const whole = this.#readOn(session, state.key, more);
    return { ...session, state: await appendChunk(this.#storage, session.uuid, empty, whole) };
  }

  /** What is stored, and what has come after it. */
  async *#readOn({ uuid }: UploadSession, key: Key, more: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const object = await this.#storage.get(key);
    if (!object) throw unknownUpload(uuid);
    yield* object.body;
    yield* more;
  }

  /**
   * Takes the last bytes, if any, checks the digest, and links the blob into the session's repository.
   * @throws RegistryError DIGEST_INVALID, RANGE_INVALID, BLOB_UPLOAD_INVALID, BLOB_UPLOAD_UNKNOWN
   */
  async commit(session: UploadSession, digest: Digest, body: UploadBody = NOTHING): Promise<BlobLink> {
    const completed = await this.#complete(session, digest, body).catch((error) =>
      this.#unlessLinked(session, digest, error),
    );
    if (!completed) return await this.#blobs.stat(session.repository, digest);
    const stored = await deduplicateBlob(this.#storage, completed);
    // Bytes, then the right to read them: a crash in between leaves only what nobody refers to.
    if (stored.isNew) await this.#blobs.link(session.repository, digest, stored);
    else if (!(await this.#blobs.linkExisting(session.repository, digest, stored))) {
      throw new StorageUnavailableError(`${stored.key} has just been collected`); // the client sends the bytes again
    }
    return stored;
  }

  /** The answer to an earlier commit may have been lost: then the upload has ended, and its blob is there. */
  async #unlessLinked(session: UploadSession, digest: Digest, error: unknown): Promise<undefined> {
    const hasEnded = error instanceof RegistryError && error.code === 'BLOB_UPLOAD_UNKNOWN';
    if (hasEnded && (await this.#blobs.find(session.repository, digest))) return undefined;
    throw error;
  }

  async #complete(session: UploadSession, digest: Digest, body: UploadBody): Promise<StoredBlob> {
    const { state } = session;
    switch (state.kind) {
      case 'started':
        checkOrder(session, body);
        return await storeBlob(this.#storage, exactly(body), {
          expected: digest,
          ...(body.signal && { signal: body.signal }),
        });
      case 'stored': {
        checkOrder(session, body);
        const last = await unlessEmpty(exactly(body));
        if (!last) return await this.#checkStored({ ...state, isNew: layout.isData(state.key) }, digest);
        const { emptyChunkedState, finishChunks } = await chunkedUploads();
        const empty = await emptyChunkedState(algorithmOf(digest));
        return await finishChunks(this.#storage, session.uuid, empty, this.#readOn(session, state.key, last), digest);
      }
      case 'chunked':
        checkOrder(session, body);
        return await (await chunkedUploads()).finishChunks(this.#storage, session.uuid, state, exactly(body), digest);
    }
  }

  async #checkStored(stored: StoredBlob, digest: Digest): Promise<StoredBlob> {
    if (algorithmOf(digest) !== algorithmOf(stored.digest)) return await rehashBlob(this.#storage, stored, digest);
    checkDigest(stored.digest, digest);
    return stored;
  }

  /** Ends an upload without a blob. */
  async cancel(session: UploadSession): Promise<void> {
    if (session.state.kind === 'chunked') await (await chunkedUploads()).discardChunks(this.#storage, session.state);
  }
}

/** Loaded only where a blob comes in chunks: few clients send any. */
const chunkedUploads = () => import('./chunks.ts');

function checkOrder(session: UploadSession, { range, sizeBytes }: UploadBody): void {
  if (!range) return;
  if (range.start !== sizeOf(session.state)) throw outOfOrder(session);
  if (sizeBytes !== undefined && sizeBytes !== range.end - range.start + 1) throw notAsLong(sizeBytes, range);
}

/** The same bytes; undefined once it is known that there are none. */
async function unlessEmpty(bytes: AsyncGenerator<Uint8Array>): Promise<AsyncIterable<Uint8Array> | undefined> {
  for (;;) {
    const { done, value: first } = await bytes.next();
    if (done) return undefined;
    if (first.length > 0) return withFirst(first, bytes);
  }
}

async function* withFirst(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}

/** Passes the body on, and fails at its end if it was not as long as its range says. */
async function* exactly({ bytes, range }: UploadBody): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    sizeBytes += chunk.length;
    yield chunk;
  }
  if (range && sizeBytes !== range.end - range.start + 1) throw notAsLong(sizeBytes, range);
}

function notAsLong(sizeBytes: number, { start, end }: ByteRange): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_INVALID',
    `the body has ${sizeBytes} bytes, its Content-Range says ${start}-${end}`,
  );
}

/** 416 with a `Range` of what has come: the client goes on from there. */
function outOfOrder(session: UploadSession): RegistryError {
  return new RegistryError('RANGE_INVALID', `the upload has ${sizeOf(session.state)} bytes; go on from there`, {
    detail: { sizeBytes: sizeOf(session.state) },
    headers: { Range: receivedRange(session) },
  });
}

/** What has come so far, as the `Range` header says it: `0-0` also for nothing. */
export function receivedRange(session: UploadSession): string {
  return `0-${Math.max(0, sizeOf(session.state) - 1)}`;
}
