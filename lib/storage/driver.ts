import type { Key, KeyPrefix } from '../model/layout.ts';
import type { Bytes } from '../streams/bytes.ts';

declare const etag: unique symbol;
/** Names the exact content of a stored object; opaque, compared for equality only. */
export type ETag = string & { readonly [etag]: true };

export type ObjectInfo = { key: Key; sizeBytes: number; etag: ETag; lastModified: Date };
export type StoredObject = { info: ObjectInfo; body: ReadableStream<Uint8Array> };
/** The bytes may be shared with other readers: nobody changes them. */
export type ReadObject = { info: ObjectInfo; bytes: Bytes };

/** Offsets of the first and the last byte, both included, as in a `Range` header. */
export type ByteRange = { start: number; end: number };

/** At most one of the two. */
export type Condition = {
  /** Write only if there is no object at this key. */
  ifAbsent?: boolean;
  /** Write only if the object at this key is still this one. */
  ifMatch?: ETag;
};

export type PutOptions = Condition & {
  contentType?: string;
  /** The SHA-256 of the body in hex: storage refuses other bytes. */
  sha256?: string;
};

/** Write only if at this key there is what there was before. */
export function unchanged(before: ObjectInfo | undefined): Condition {
  return before ? { ifMatch: before.etag } : { ifAbsent: true };
}

/** What the console of S3 shows in the browser, instead of saving it as a file. */
export const AS_JSON = { contentType: 'application/json' } as const;
export const AS_TEXT = { contentType: 'text/plain' } as const;

export type PutStreamOptions = Omit<PutOptions, 'sha256'> & { signal?: AbortSignal };

export type MultipartUpload = {
  key: Key;
  uploadId: string;
  /** The server wants no checksums of its parts. */
  refusesChecksums?: true;
};

/**
 * What a part is known by. On disk its ETag is random, and so proof of its bytes. On S3 it is their MD5, of which anybody can
 * make two that are alike: there the proof is `sha256`, in hex, of which the server has checked the part, and which it keeps.
 * Servers that keep none do not list one, and parts are then as good as their ETags.
 */
export type UploadedPart = { partNumber: number; etag: ETag; sizeBytes: number; sha256?: string };

export type PresignOptions = { expiresSeconds: number; contentType?: string };

/** Storage refuses this to the credentials of this process. */
export class StorageDeniedError extends Error {
  override readonly name = 'StorageDeniedError';
}

/** Storage cannot answer now (throttled, timed out, unreachable), after all retries. Asking again later may help. */
export class StorageUnavailableError extends Error {
  override readonly name = 'StorageUnavailableError';
}

/** Storage has no room for what should be written. Nothing of it is left; reads and deletes go on. */
export class StorageFullError extends Error {
  override readonly name = 'StorageFullError';
}

/**
 * An object store with the promises S3 makes and no others: a put is atomic and read back at once.
 * Absence is an answer (`undefined`), not an error; every other failure is thrown with its `cause`.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel
 */
export interface StorageDriver {
  head(key: Key): Promise<ObjectInfo | undefined>;

  /**
   * `info.sizeBytes` is the size of the whole object even with a `range`, which must begin within it. The body has to be read
   * to its end or cancelled: until then it keeps a connection or a file open.
   * @throws RangeError if the range begins behind the end
   */
  get(key: Key, options?: { range?: ByteRange; signal?: AbortSignal }): Promise<StoredObject | undefined>;

  /** The whole of a small object, as it was at some moment since this was called. */
  read(key: Key): Promise<ReadObject | undefined>;

  /**
   * The ETag that a listing gives an object which holds these bytes; `undefined` where bytes do not tell that, or it is not
   * known of this server yet: it is learned from objects that are read. No request. Two objects of one such ETag may differ,
   * as MD5s can be made alike: what matters is confirmed by `read`.
   */
  etagOf(bytes: Uint8Array): ETag | undefined;

  /** Small objects only. `undefined` if the condition did not hold; then nothing was written. */
  put(key: Key, body: Uint8Array, options?: PutOptions): Promise<ETag | undefined>;

  /**
   * Objects of any size, with back-pressure and bounded memory. The object appears whole when `body` has ended well, and
   * never if `body` throws or `signal` aborts before the last request is sent: then nothing is left behind, and what was
   * thrown (or the signal's reason) is thrown on.
   * `undefined` if the condition did not hold at the end; then nothing was written.
   */
  putStream(key: Key, body: AsyncIterable<Uint8Array>, options?: PutStreamOptions): Promise<ETag | undefined>;

  /**
   * Makes an object of the bytes of another; they do not pass through this process, and on disk are not even copied.
   * False if `from` is not there, or `to` is already: nothing is overwritten.
   */
  copyIfAbsent(from: Key, to: Key): Promise<boolean>;

  /** All objects whose key starts with `prefix`, in byte order of their keys, a page of 1,000 per request, never all in memory. */
  list(prefix: KeyPrefix, options?: { after?: Key }): AsyncIterable<ObjectInfo>;

  /** The folders directly below `prefix` (a folder itself), in byte order, each with its final `/`; objects are left out. */
  listFolders(prefix: KeyPrefix, options?: { after?: string }): AsyncIterable<KeyPrefix>;

  /** A key that does not exist counts as deleted. With `ifMatch`, false if the object has changed since. */
  delete(key: Key, options?: { ifMatch?: ETag }): Promise<boolean>;

  createMultipart(key: Key): Promise<MultipartUpload>;
  /**
   * Every part but the last holds at least 5 MiB. `undefined` if the upload is unknown, completed or aborted.
   * https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
   */
  uploadPart(upload: MultipartUpload, partNumber: number, body: Uint8Array): Promise<UploadedPart | undefined>;
  /** In order of part number, each with all that storage knows it by; `undefined` if the upload is unknown, completed or aborted. */
  listParts(upload: MultipartUpload): Promise<UploadedPart[] | undefined>;
  /** False if the upload is unknown, completed or aborted, or a part is no longer what it was, by its ETag or its `sha256`. */
  completeMultipart(upload: MultipartUpload, parts: readonly UploadedPart[]): Promise<boolean>;
  /** An upload that does not exist counts as aborted. */
  abortMultipart(upload: MultipartUpload): Promise<void>;

  /** Missing where there is no URL to give (files on disk): the caller streams instead. */
  presign?(method: 'GET' | 'HEAD', key: Key, options: PresignOptions): Promise<URL>;

  /**
   * What this storage does not keep of the promises above, each in a sentence for the operator. To be asked when a server
   * starts; may cost a few requests.
   */
  findShortcomings?(): Promise<string[]>;

  /**
   * Whether something small can be written, which may be tried. Cheap where nothing was amiss before.
   * @throws StorageFullError, StorageUnavailableError if not
   */
  checkRoom?(): Promise<void>;

  /**
   * True where nothing else removes what expired uploads leave, so that the server does it, as a lifecycle rule does it in a
   * bucket.
   */
  readonly needsSweeping?: boolean;

  /** Ends connections; the driver is not used afterwards. */
  close(): Promise<void>;
}
