// Errors by their meaning. Only `http/error-response.ts` knows their statuses and bodies.

/** The codes of the OCI distribution spec, and those that only v1 has. */
export type ErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'COLLECTION_RUNNING'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'PAGINATION_NUMBER_INVALID'
  | 'PATH_TOO_LONG'
  | 'PLAN_UNKNOWN'
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

/** An error that the client gets with its code and message. Every other error becomes a 500 without a message. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: ErrorCode;
  /** JSON for v2 clients, about the value that was wrong. */
  readonly detail: unknown;
  /** Headers of the answer: `Range` of an upload, `Retry-After`, `WWW-Authenticate`. */
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
