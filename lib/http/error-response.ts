import { type ErrorCode, RegistryError } from '../model/errors.ts';
import type { JsonObject } from '../model/json.ts';
import { StorageFullError, StorageUnavailableError } from '../storage/driver.ts';

type Protocol = 'v1' | 'v2';

export const STATUS: Readonly<Record<ErrorCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  COLLECTION_RUNNING: 409,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  PATH_TOO_LONG: 414,
  PLAN_UNKNOWN: 404,
  PRECONDITION_FAILED: 412,
  RANGE_INVALID: 416,
  SIZE_INVALID: 413,
  STORAGE_FULL: 507,
  TAG_INVALID: 400,
  TOO_MANY_TAGS: 414,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
  CHECKSUM_MISSING: 412,
  IMAGE_CHECKSUM_INVALID: 400,
  IMAGE_DIFF_UNKNOWN: 400,
  IMAGE_EXISTS: 409,
  IMAGE_ID_INVALID: 404,
  IMAGE_INCOMPLETE: 400,
  IMAGE_INVALID: 400,
  IMAGE_LAYER_INVALID: 400,
  IMAGE_UNKNOWN: 404,
  INDEX_INVALID: 400,
  INDEX_UNKNOWN: 404,
  REPOSITORY_UNKNOWN: 404,
  TAG_UNKNOWN: 404,
};

/**
 * Codes that the spec lacks, by the code that v2 clients get. In a long path only the name can be long, and NAME_INVALID makes
 * clients give up. STORAGE_FULL has the status 507, not 503: clients show it, and do not repeat the layer at once.
 */
const OCI_CODE: Partial<Record<ErrorCode, ErrorCode>> = { PATH_TOO_LONG: 'NAME_INVALID', STORAGE_FULL: 'UNAVAILABLE' };

/** Headers against caching, for HTTP/1.0 and HTTP/1.1. */
export const NOT_CACHED = { 'Cache-Control': 'no-cache', Expires: '-1', Pragma: 'no-cache' };

/**
 * The only writer of error bodies: `{"error"}` for v1, `{"errors": [{code, message, detail}]}` for v2.
 * An error of another class than `RegistryError` becomes `internal error`, without its message. The caller logs it.
 */
export function errorResponse(protocol: Protocol, thrown: Error): Response {
  const { code, message, detail, headers } = toRegistryError(thrown);
  const body: JsonObject =
    protocol === 'v1'
      ? { error: message }
      : {
          errors: [
            { code: OCI_CODE[code] ?? code, message, ...(detail !== undefined && { detail: detail as JsonObject }) },
          ],
        };
  return Response.json(body, { status: STATUS[code], headers: { ...NOT_CACHED, ...headers } });
}

/** Whether the error belongs in the log: statuses from 500, without those of a busy process, by which clients could fill the log. */
export function isServerError(thrown: Error): boolean {
  if (thrown instanceof RegistryError && thrown.code === 'UNAVAILABLE') return false;
  return STATUS[toRegistryError(thrown).code] >= 500;
}

function toRegistryError(thrown: Error): RegistryError {
  if (thrown instanceof RegistryError) return thrown;
  if (thrown instanceof StorageUnavailableError) {
    return new RegistryError('UNAVAILABLE', 'storage is not available now, try again', {
      headers: { 'Retry-After': '5' },
    });
  }
  if (thrown instanceof StorageFullError) return new RegistryError('STORAGE_FULL', 'no space left in the storage');
  return new RegistryError('UNKNOWN', 'internal error');
}
