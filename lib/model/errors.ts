// What can go wrong, by its meaning. `error-response.ts` alone knows statuses and bodies, and puts it on the wire.

/** The codes of the OCI distribution spec, and those that only v1 has. */
export type ErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'PAGINATION_NUMBER_INVALID'
  | 'PATH_TOO_LONG'
  | 'PRECONDITION_FAILED'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
  | 'STORAGE_FULL'
  | 'TAG_INVALID'
  | 'TOO_MANY_TAGS'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNAVAILABLE'
  | 'UNKNOWN'
  | 'UNSUPPORTED'
  | 'CHECKSUM_MISSING'
  | 'IMAGE_CHECKSUM_INVALID'
  | 'IMAGE_DIFF_UNKNOWN'
  | 'IMAGE_EXISTS'
  | 'IMAGE_ID_INVALID'
  | 'IMAGE_INCOMPLETE'
  | 'IMAGE_INVALID'
  | 'IMAGE_LAYER_INVALID'
  | 'IMAGE_UNKNOWN'
  | 'INDEX_INVALID'
  | 'INDEX_UNKNOWN'
  | 'REPOSITORY_UNKNOWN'
  | 'TAG_UNKNOWN';

/** What a client did wrong or asked for in vain. Anything else that is thrown is our fault and becomes a bare 500. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: ErrorCode;
  /** Anything that JSON can hold; v2 clients get it as `detail`. */
  readonly detail: unknown;
  /** What the client has to know besides, in headers of the answer: where an upload is, when to come again, how to log in. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { detail?: unknown; headers?: Record<string, string> } = {},
  ) {
    super(message, options);
    this.code = code;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }
}
