import { S3ServiceException } from '@aws-sdk/client-s3';
import { hasCode } from '../model/has-code.ts';
import { StorageDeniedError, StorageFullError, StorageUnavailableError } from './driver.ts';

/** What Node says when there is no answer. */
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
/** What S3 and the SDK say when another time may do. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const MAY_PASS = new Set([
  'TimeoutError',
  'RequestTimeout',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'RequestLimitExceeded',
  'OperationAborted',
  'ConditionalRequestConflict',
  'NoSuchUpload', // where it is no answer: the parts are gone, but the client can send them again
]);
/** What servers with disks or quotas of their own say: MinIO and Ceph. */
const FULL = new Set([
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'QuotaExceeded',
  'InsufficientStorage',
  'InsufficientCapacity',
]);
const STATUS_FULL = 507;
const STATUS_MAY_PASS = new Set([429, 500, 502, 503, 504]);

/** S3 answered, and the answer is no. */
export function isRefusal(error: unknown, ...codes: string[]): error is S3ServiceException {
  return error instanceof S3ServiceException && codes.includes(error.name);
}

export function statusOf(error: unknown): number | undefined {
  return hasMetadata(error) ? error.$metadata.httpStatusCode : undefined;
}

/** Not only S3ServiceException has it: the SDK makes a plain Error of an empty answer to a completion. */
function hasMetadata(error: unknown): error is Error & { $metadata: { httpStatusCode?: number; attempts?: number } } {
  return (
    error instanceof Error && '$metadata' in error && typeof error.$metadata === 'object' && error.$metadata !== null
  );
}

/** There is no such object. An answer to HEAD has no body, so that a bucket that does not exist looks the same there. */
export function isAbsent(error: unknown): boolean {
  return isRefusal(error, 'NoSuchKey', 'NotFound');
}

/** `If-None-Match` or `If-Match` did not hold; the latter is a 404 where there is no object. */
export function isConditionFailed(error: unknown): boolean {
  return statusOf(error) === 412 || isRefusal(error, 'PreconditionFailed', 'NoSuchKey');
}

/** Someone else wrote at the same moment: nobody knows yet whether the condition holds. */
export function isConflict(error: unknown): boolean {
  return isRefusal(error, 'ConditionalRequestConflict') || statusOf(error) === 409;
}

/**
 * Only the last of several attempts was refused. An earlier one may have done its work and lost its answer on the way, so
 * that a failed condition, or an upload that is gone, can be our own success.
 */
export function wasRetried(error: unknown): boolean {
  return hasMetadata(error) && (error.$metadata.attempts ?? 1) > 1;
}

/** Waits for an answer, and throws every other end together with what was attempted. */
export async function answerOf<T>(attempted: string, request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw asStorageError(attempted, error);
  }
}

/** The same, but `undefined` for a refusal that is an answer too. */
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

/** What to throw: says what was tried, and keeps what it was answered as `cause`. */
export function asStorageError(attempted: string, error: unknown): Error {
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (isFull(error)) return new StorageFullError(`${attempted}: storage is full (${said})`, { cause: error });
  if (statusOf(error) === 403) return new StorageDeniedError(`${attempted} failed (${said})`, { cause: error });
  return mayPass(error)
    ? new StorageUnavailableError(`${attempted}: storage cannot answer now (${said})`, { cause: error })
    : new Error(`${attempted} failed (${said})`, { cause: error });
}

export function isFull(error: unknown): boolean {
  return error instanceof Error && (FULL.has(error.name) || statusOf(error) === STATUS_FULL);
}

function mayPass(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (MAY_PASS.has(error.name) || STATUS_MAY_PASS.has(statusOf(error) ?? 0)) return true;
  return isUnreachable(error);
}

/** Nobody has answered at all. */
export function isUnreachable(error: unknown): boolean {
  return hasCode(error, ...UNREACHABLE);
}
