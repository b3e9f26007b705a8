import { S3ServiceException } from '@aws-sdk/client-s3';
import { hasCode } from '../model/has-code.ts';
import { StorageDeniedError, StorageFullError, StorageUnavailableError } from './driver.ts';

/** The codes of Node's errors when there is no response. */
const UNREACHABLE = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
];
/**
 * Errors of S3 and the SDK after which a later attempt may succeed.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
const MAY_PASS = new Set([
  'TimeoutError',
  'RequestTimeout',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'OperationAborted',
  'ConditionalRequestConflict',
  'RequestTimeTooSkewed', // the look of a write has expired
  'NoSuchUpload', // where no caller handles it: the parts are gone, and the client can send them again
]);
/** Errors of full servers, or of a quota that is used up: MinIO and Ceph. */
const FULL = new Set([
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'QuotaExceeded',
  'InsufficientStorage',
  'InsufficientCapacity',
]);
const STATUS_FULL = 507;
const STATUS_MAY_PASS = new Set([429, 500, 502, 503, 504]);

/** The server has not executed the request, and would not if it were sent again. */
export type Refusal = { status: number; code: string; message: string };

/** The error that the SDK throws for a refusal. */
export function errorOf({ status, code, message }: Refusal): S3ServiceException {
  return new S3ServiceException({
    name: code,
    message,
    $fault: 'client',
    $metadata: { httpStatusCode: status, attempts: 1 },
  });
}

/** Whether S3 has responded with one of these error codes. */
export function isRefusal(error: unknown, ...codes: string[]): error is S3ServiceException {
  return error instanceof S3ServiceException && codes.includes(error.name);
}

/** The HTTP status of the response; `undefined` if there was none. */
export function statusOf(error: unknown): number | undefined {
  return hasMetadata(error) ? error.$metadata.httpStatusCode : undefined;
}

/** Not only an S3ServiceException has metadata: for an empty response to a completion the SDK throws a plain Error. */
function hasMetadata(error: unknown): error is Error & { $metadata: { httpStatusCode?: number; attempts?: number } } {
  return (
    error instanceof Error && '$metadata' in error && typeof error.$metadata === 'object' && error.$metadata !== null
  );
}

/** There is no such object. For HEAD it may be the bucket that does not exist, as the response has no body to tell. */
export function isAbsent(error: unknown): boolean {
  return isRefusal(error, 'NoSuchKey', 'NotFound');
}

/** `If-None-Match` or `If-Match` did not hold. `If-Match` on a missing object gives a 404. */
export function isConditionFailed(error: unknown): boolean {
  return statusOf(error) === 412 || isRefusal(error, 'PreconditionFailed', 'NoSuchKey');
}

/** Another write was under way at the same moment, so S3 could not decide whether the condition holds. */
export function isConflict(error: unknown): boolean {
  return isRefusal(error, 'ConditionalRequestConflict') || statusOf(error) === 409;
}

/**
 * Whether the SDK has sent the request more than once. An earlier attempt may have succeeded although its response was lost:
 * then its own effect makes the last attempt fail, by a condition or an unknown upload.
 */
export function wasRetried(error: unknown): boolean {
  return hasMetadata(error) && (error.$metadata.attempts ?? 1) > 1;
}

/**
 * Waits for a response.
 * @param attempted what the request does, for the message: `HEAD a/b`
 * @throws as `asStorageError`
 */
export async function answerOf<T>(attempted: string, request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw asStorageError(attempted, error);
  }
}

/** As `answerOf`, but `undefined` for an expected error. */
export async function answerUnless<T>(
  isExpected: (error: unknown) => boolean,
  attempted: string,
  request: Promise<T>,
): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isExpected(error)) return undefined;
    throw asStorageError(attempted, error);
  }
}

/** The error to throw for a failed request: StorageFullError, StorageDeniedError, StorageUnavailableError, or an Error. */
export function asStorageError(attempted: string, error: unknown): Error {
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (isFull(error)) return new StorageFullError(`${attempted}: storage is full (${said})`, { cause: error });
  if (statusOf(error) === 403 && !isRefusal(error, ...MAY_PASS)) {
    return new StorageDeniedError(`${attempted} failed (${said})`, { cause: error });
  }
  return mayPass(error)
    ? new StorageUnavailableError(`${attempted}: storage cannot answer now (${said})`, { cause: error })
    : new Error(`${attempted} failed (${said})`, { cause: error });
}

/** The server has no room for the object. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && (FULL.has(error.name) || statusOf(error) === STATUS_FULL);
}

function mayPass(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (MAY_PASS.has(error.name) || STATUS_MAY_PASS.has(statusOf(error) ?? 0)) return true;
  return isUnreachable(error);
}

/** There was no response at all. */
export function isUnreachable(error: unknown): boolean {
  return hasCode(error, ...UNREACHABLE);
}
