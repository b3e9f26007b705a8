import type { Key, KeyPrefix } from '../model/layout.ts';
import type { Bytes } from '../streams/bytes.ts';

declare const etag: unique symbol;
/** Identifies the exact content of a stored object. Opaque: compared for equality only. */
export type ETag = string & { readonly [etag]: true };

/**
 * `sharesBytes`: these bytes are stored once for several keys, and the objects at all of them have this ETag. Absent where the
 * object takes up its size.
 */
export type ObjectInfo = { key: Key; sizeBytes: number; etag: ETag; lastModified: Date; sharesBytes?: true };
export type StoredObject = { info: ObjectInfo; body: ReadableStream<Uint8Array> };
/** The bytes may be shared with other readers, so they must not be changed. */
export type ReadObject = { info: ObjectInfo; bytes: Bytes };

/** Offsets of the first and the last byte, both included, as in a `Range` header (RFC 9110, section 14.1.2). */
export type ByteRange = { start: number; end: number };

/**
 * At most one of the two.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
 */
export type Condition = {
  /** Write only if there is no object at this key. */
  ifAbsent?: boolean;
  /** Write only if the object at this key has this ETag. */
  ifMatch?: ETag;
};

/**
 * What a write relies on was read some time ago, and holds for a limited time: `Look`. `remainingMs` is what is left of it when
 * it is read; at most 15 minutes on S3.
 */
export type LimitedLook = { readonly remainingMs: number };

export type PutOptions = Condition & {
  contentType?: string;
  /** The SHA-256 of the body in hex. Storage refuses a body that has another. */
  sha256?: string;
  /** Storage does not execute the write once this look has expired: then `put` throws StorageUnavailableError. */
  look?: LimitedLook;
};

/** The condition to write only if the object is still the one that was read, or there still is none. */
export function unchanged(before: ObjectInfo | undefined): Condition {
  return before ? { ifMatch: before.etag } : { ifAbsent: true };
}

/** Objects with these content types are shown in the browser by the console of S3; others are saved as files. */
export const AS_JSON = { contentType: 'application/json' } as const;
export const AS_TEXT = { contentType: 'text/plain' } as const;

export type DeleteOptions = {
  /** Delete only if the object at this key has this ETag. */
  ifMatch?: ETag;
  /**
   * Instead of `ifMatch`: the request is sent once and is not executed after this look has expired. If no answer comes, it may
   * have been executed or not. By default a request without an answer is repeated, and the first may be executed late.
   */
  onceWithin?: LimitedLook;
};

/** What became of an object: `unwanted` was read and is still there, `changed` was written between its read and its deletion. */
export type Deletion = 'deleted' | 'changed' | 'unwanted' | 'absent';

export type PutStreamOptions = Omit<PutOptions, 'sha256' | 'look'> & {
  signal?: AbortSignal;
  /** The SHA-256 of the body in hex, once all of it has been read, if the caller knows it: then the driver need not compute it. */
  bodySha256?: () => string | undefined;
  /**
   * To be called with each chunk of the body once the driver no longer needs its bytes: the caller uses its memory again. A
   * driver that does not call it leaves the chunks to the garbage collector.
   */
  giveBack?: (chunk: Uint8Array) => void;
};

export type MultipartUpload = {
  key: Key;
  uploadId: string;
  /** The server does not take checksums of parts. */
  refusesChecksums?: true;
};

/**
 * One part of a multipart upload. Its ETag proves its bytes on disk, where it is random. On S3 it is their MD5, of which
 * collisions can be made; there `sha256`, in hex, is the proof: the server has checked the part against it and keeps it.
 * Servers that keep no checksums list parts without one.
 */
export type UploadedPart = { partNumber: number; etag: ETag; sizeBytes: number; sha256?: string };

export type PresignOptions = {
  /** How long the URL is valid: up to 604,800 s on S3. */
  expiresSeconds: number;
  /** The `Content-Type` that the response shall have. */
  contentType?: string;
};

/** Storage denies this operation to the credentials of this process. */
export class StorageDeniedError extends Error {
  override readonly name = 'StorageDeniedError';
}

/** Storage cannot answer now (throttled, timed out, unreachable), after the driver's own retries. A later attempt may succeed. */
export class StorageUnavailableError extends Error {
  override readonly name = 'StorageUnavailableError';
}

/** @throws StorageUnavailableError if the look has expired: the client gets 503 and tries again */
export function checkLook(look: LimitedLook | undefined): void {
  if (look && look.remainingMs <= 0) throw new StorageUnavailableError('this request was held up for too long');
}

/** Storage has no room for an object. Nothing of the object is left; reads and deletes still work. */
export class StorageFullError extends Error {
  override readonly name = 'StorageFullError';
}

/**
 * An object store with the guarantees of S3 and no others: a put is atomic, and every read and list that begins after it has
 * returned sees it. https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
 *
 * An object that does not exist is an answer (`undefined`), not an error. Every method throws StorageDeniedError,
 * StorageUnavailableError or StorageFullError where they apply, and an Error with its `cause` for any other failure. A driver
 * has to pass `test/storage/contract.ts`. Keys are made by `lib/model/layout.ts`; `/` separates their parts.
 */
export interface StorageDriver {
  /** What is known of an object without its bytes. */
  head(key: Key): Promise<ObjectInfo | undefined>;

  /**
   * Opens an object for reading.
   * @param options.range the bytes to read; it must begin within the object, and an end beyond the last byte is cut
   * @param options.signal ends the body with the signal's reason
   * @returns `info.sizeBytes` is the size of the whole object, also with a `range`. The body has to be read to its end or
   *   cancelled: until then it holds a connection or a file open
   * @throws RangeError if the range does not begin within the object
   */
  get(key: Key, options?: { range?: ByteRange; signal?: AbortSignal }): Promise<StoredObject | undefined>;

  /** Reads a small object into memory, as it was at some moment since the call. */
  read(key: Key): Promise<ReadObject | undefined>;

  /**
   * The ETag that `list` reports for an object with these bytes, without a request. `undefined` where the ETag does not depend
   * on the bytes, or the driver does not know yet whether it does: it learns that from the objects that it writes and reads. MD5
   * collisions can be made, so a caller confirms by `read` that an object with this ETag holds these bytes.
   */
  etagOf(bytes: Uint8Array): ETag | undefined;

  /**
   * Writes an object of up to some MiB.
   * @returns its ETag; `undefined` if the condition did not hold, and then nothing was written
   */
  put(key: Key, body: Uint8Array, options?: PutOptions): Promise<ETag | undefined>;

  /**
   * Writes an object of any size, with backpressure and bounded memory. The whole object appears once `body` has ended. If
   * `body` throws, or `signal` aborts before the last request is sent, no object appears, nothing is left behind, and the
   * error of `body` or the signal's reason is thrown.
   * @returns its ETag; `undefined` if the condition did not hold at the end, and then nothing was written
   */
  putStream(key: Key, body: AsyncIterable<Uint8Array>, options?: PutStreamOptions): Promise<ETag | undefined>;

  /**
   * Copies an object within storage: its bytes do not pass through this process. `lastModified` of the copy is the time of the
   * copy, as a collector spares what is new.
   * @param options.mayKeepTime the copy may have the original's `lastModified`. On disk it then takes no room: `sharesBytes`
   * @returns false if there is no object at `from`, or there is one at `to`, which is not overwritten
   */
  copyIfAbsent(from: Key, to: Key, options?: { mayKeepTime?: boolean }): Promise<boolean>;

  /**
   * The objects whose keys start with `prefix`, in byte order of their keys: `compareByteOrder`. One request per 1,000 objects;
   * no more than a page is in memory.
   * @param options.after lists only keys that come after this one
   */
  list(prefix: KeyPrefix, options?: { after?: Key }): AsyncIterable<ObjectInfo>;

  /**
   * The folders directly below `prefix`, which is a folder itself: the distinct beginnings of keys up to the next `/`, in byte
   * order, each with its final `/`. Objects directly below `prefix` are left out.
   * @param options.after lists only folders that come after this string
   */
  listFolders(prefix: KeyPrefix, options?: { after?: string }): AsyncIterable<KeyPrefix>;

  /**
   * Deletes an object. A key without an object counts as deleted.
   * @returns false, only with `ifMatch`: the object has another ETag, and is still there
   */
  delete(key: Key, options?: DeleteOptions): Promise<boolean>;

  /**
   * Reads a small object, and deletes it if it is wanted and has not changed since. Missing where `read` and `delete` with
   * `ifMatch` cost as little: called by `deleteIf` of `deletions.ts`.
   * @param isWanted decides by what was read
   */
  deleteIf?(key: Key, isWanted: (object: ReadObject) => boolean): Promise<Deletion>;

  /**
   * Deletes objects, as `delete` without options does each. Missing where a request deletes one object only: called by
   * `deleteMany` of `deletions.ts`.
   */
  deleteMany?(keys: readonly Key[]): Promise<void>;

  /**
   * Whether `delete` with `ifMatch` is one atomic operation for all processes. Found out by a probe where that is
   * not known; false if it cannot be found out.
   */
  honorsDeleteConditions(): Promise<boolean>;

  /**
   * Starts a multipart upload, which any process may continue. Its parts take room until it is completed or aborted.
   * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
   */
  createMultipart(key: Key): Promise<MultipartUpload>;
  /**
   * Writes a part, and replaces an earlier one of the same number. Every part but the last holds 5 MiB or more.
   * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
   * @param partNumber 1 to 10,000
   * @returns `undefined` if the upload is unknown, completed or aborted
   */
  uploadPart(upload: MultipartUpload, partNumber: number, body: Uint8Array): Promise<UploadedPart | undefined>;
  /** The parts by number. `undefined` if the upload is unknown, completed or aborted. */
  listParts(upload: MultipartUpload): Promise<UploadedPart[] | undefined>;
  /**
   * Makes one object of the parts, which appears whole and replaces an existing one.
   * @param parts in order of their numbers, as `uploadPart` and `listParts` returned them
   * @returns false if the upload is unknown, completed or aborted, or a part has another ETag or `sha256` by now
   */
  completeMultipart(upload: MultipartUpload, parts: readonly UploadedPart[]): Promise<boolean>;
  /** Discards an upload and its parts. An upload that does not exist counts as aborted. */
  abortMultipart(upload: MultipartUpload): Promise<void>;

  /**
   * A URL by which a client reads the object from storage itself. Missing where storage has no URLs (files on disk): the server
   * then sends the bytes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html
   */
  presign?(method: 'GET' | 'HEAD', key: Key, options: PresignOptions): Promise<URL>;

  /**
   * The guarantees above that this storage does not give, each in a sentence for the operator. Called when a server starts;
   * may take a few requests.
   */
  findLimitations?(): Promise<string[]>;

  /**
   * Checks that a small object can be written, if need be by writing one. Cheap unless an earlier write failed.
   * @throws StorageFullError, StorageUnavailableError
   */
  checkRoom?(): Promise<void>;

  /** Closes connections. The driver is not used afterwards. */
  close(): Promise<void>;
}
