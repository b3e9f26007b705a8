import { randomUUID } from 'node:crypto';
import { checkDigest } from '../../model/content-digest.ts';
import { RegistryError } from '../../model/errors.ts';
import type { Key } from '../../model/layout.ts';
import { algorithmOf, type Digest, type DigestAlgorithm, type RepositoryName } from '../../model/names.ts';
import type { ByteRange, StorageDriver } from '../../storage/driver.ts';
import type { HashBlocks } from '../../streams/hash-blocks.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import type { StoredBlob, StoredBytes } from '../blobs/reusable-bytes.ts';
import type { BlobStore } from '../blobs/store.ts';
import { type ChunkedState, hasEnded, sizeOf, type UploadSession, unknownUpload } from './session.ts';

export type UploadBody = {
  bytes: AsyncIterable<Uint8Array>;
  /** Takes back each chunk of `bytes` that is no longer needed, to use its memory again. */
  giveBack?: (chunk: Uint8Array) => void;
  /** Hashes chunks of `bytes`. Default: `hashHere`. */
  hashBlocks?: HashBlocks;
  /** From `Content-Range`; without it the body follows the bytes that have arrived. */
  range?: ByteRange;
  /** From `Content-Length`. */
  sizeBytes?: number;
  signal?: AbortSignal;
};

const NO_BODY: UploadBody = {
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
  readonly #store: BlobStore;

  constructor(storage: StorageDriver, { blobs, store }: { blobs: Blobs; store: BlobStore }) {
    this.#storage = storage;
    this.#blobs = blobs;
    this.#store = store;
  }

  /**
   * No storage request: before the first byte all state is in the session.
   * @param algorithm of the digest in the commit; where that has another one, the bytes are read again
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
   * Takes a PATCH. The first one without a range is usually the whole blob: it is stored, and linked by the commit. Further bytes
   * are appended by reading and writing it once more.
   * @throws RegistryError RANGE_INVALID if the chunk does not begin where the last one ended; BLOB_UPLOAD_INVALID if it is not
   *   as long as its range; BLOB_UPLOAD_UNKNOWN
   */
  async append(session: UploadSession, body: UploadBody): Promise<UploadSession> {
    const { state } = session;
    if (!body.range && state.kind === 'started') {
      const { algorithm } = state;
      const { digest, sizeBytes, key } = await this.#store.put(body.bytes, {
        algorithm,
        ...transferOf(body),
      });
      return { ...session, state: { kind: 'stored', digest, sizeBytes, key } };
    }
    checkRange(session, body);
    const { appendChunk, emptyChunkedState } = await chunkedUploads();
    if (state.kind !== 'stored') {
      const chunked = state.kind === 'chunked' ? state : await emptyChunkedState(state.algorithm);
      return { ...session, state: await appendChunk(this.#storage, session.uuid, chunked, checkLength(body)) };
    }
    const more = await unlessEmpty(checkLength(body));
    if (!more) return session;
    const empty = await emptyChunkedState(algorithmOf(state.digest));
    const whole = this.#appendTo(session, state.key, more);
    return { ...session, state: await appendChunk(this.#storage, session.uuid, empty, whole) };
  }

  /** The stored bytes and those that follow them. */
  async *#appendTo({ uuid }: UploadSession, key: Key, more: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const object = await this.#storage.get(key);
    if (!object) throw unknownUpload(uuid);
    yield* object.body;
    yield* more;
  }

  /**
   * Takes the last bytes, checks the digest, and links the blob into the repository of the session.
   * @throws RegistryError DIGEST_INVALID, RANGE_INVALID, BLOB_UPLOAD_INVALID, BLOB_UPLOAD_UNKNOWN
   */
  async commit(session: UploadSession, digest: Digest, body: UploadBody = NO_BODY): Promise<BlobLink> {
    const completed = await this.#complete(session, digest, body).catch((error) =>
      this.#unlessLinked(session, digest, error),
    );
    if (!completed) return await this.#blobs.stat(session.repository, digest, { mayPush: () => true });
    // The collector leaves bytes alone for two days from the first of them. So own bytes are linked without a look at their
    // marks, but not late.
    const look = this.#store.startLook();
    if (hasEnded(session)) throw unknownUpload(session.uuid);
    const stored = await this.#store.deduplicate({ look, ...completed });
    // The bytes before the link: a crash in between leaves bytes without a link, for the collector.
    await this.#blobs.link(session.repository, stored);
    return stored;
  }

  /** Undefined if an earlier commit of this upload, whose answer was lost, has linked the blob. */
  async #unlessLinked(session: UploadSession, digest: Digest, error: unknown): Promise<undefined> {
    const isUnknown = error instanceof RegistryError && error.code === 'BLOB_UPLOAD_UNKNOWN';
    if (isUnknown && (await this.#blobs.find(session.repository, digest))) return undefined;
    throw error;
  }

  async #complete(session: UploadSession, digest: Digest, body: UploadBody): Promise<StoredBytes | StoredBlob> {
    const { state } = session;
    switch (state.kind) {
      case 'started':
        checkRange(session, body);
        return await this.#store.put(checkLength(body), {
          expected: digest,
          ...transferOf(body),
        });
      case 'stored': {
        checkRange(session, body);
        const last = await unlessEmpty(checkLength(body));
        if (!last) return await this.#checkStored(state, digest);
        const empty = await (await chunkedUploads()).emptyChunkedState(algorithmOf(digest));
        return await this.#finish(session, empty, this.#appendTo(session, state.key, last), digest);
      }
      case 'chunked':
        checkRange(session, body);
        return await this.#finish(session, state, checkLength(body), digest);
    }
  }

  async #finish(
    { uuid }: UploadSession,
    state: ChunkedState,
    body: AsyncIterable<Uint8Array>,
    expected: Digest,
  ): Promise<StoredBytes> {
    const { finishChunks } = await chunkedUploads();
    return await finishChunks({ storage: this.#storage, store: this.#store }, uuid, state, body, expected);
  }

  async #checkStored({ digest, sizeBytes, key }: StoredBytes, expected: Digest): Promise<StoredBytes> {
    const stored = { digest, sizeBytes, key };
    if (algorithmOf(expected) !== algorithmOf(digest)) return await this.#store.putAgain(stored, expected);
    checkDigest(digest, expected);
    return stored;
  }

  /** Ends an upload and deletes its parts. */
  async cancel(session: UploadSession): Promise<void> {
    if (session.state.kind === 'chunked') await (await chunkedUploads()).discardChunks(this.#storage, session.state);
  }
}

/** Loaded when the first chunk arrives: few clients send chunks. */
const chunkedUploads = () => import('./chunks.ts');

function transferOf({
  signal,
  giveBack,
  hashBlocks,
}: UploadBody): Pick<UploadBody, 'signal' | 'giveBack' | 'hashBlocks'> {
  return { ...(signal && { signal }), ...(giveBack && { giveBack }), ...(hashBlocks && { hashBlocks }) };
}

function checkRange(session: UploadSession, { range, sizeBytes }: UploadBody): void {
  if (!range) return;
  if (range.start !== sizeOf(session.state)) throw rangeMismatch(session, range);
  if (sizeBytes !== undefined && sizeBytes !== range.end - range.start + 1) throw lengthMismatch(sizeBytes, range);
}

/** The same bytes; undefined if there are none. */
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

/** The body; throws at its end if it is not as long as its range. */
async function* checkLength({ bytes, range }: UploadBody): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    sizeBytes += chunk.length;
    yield chunk;
  }
  if (range && sizeBytes !== range.end - range.start + 1) throw lengthMismatch(sizeBytes, range);
}

function lengthMismatch(sizeBytes: number, { start, end }: ByteRange): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_INVALID',
    `the body has ${sizeBytes} bytes, its Content-Range is ${start}-${end}`,
  );
}

/** 416; `Range` says where the client continues. */
function rangeMismatch(session: UploadSession, { start }: ByteRange): RegistryError {
  const sizeBytes = sizeOf(session.state);
  return new RegistryError(
    'RANGE_INVALID',
    `the chunk begins at byte ${start}, but the upload has ${sizeBytes} bytes`,
    {
      detail: { sizeBytes },
      headers: { Range: receivedRange(session) },
    },
  );
}

/** `Range` for the bytes that have arrived; `0-0` also for none. */
export function receivedRange(session: UploadSession): string {
  return `0-${Math.max(0, sizeOf(session.state) - 1)}`;
}
