// What an operator reads if the bucket cannot be used when a process starts.

import { hasCode } from '../model/has-code.ts';
import { StorageUnavailableError } from './driver.ts';
import { asStorageError, isUnreachable, statusOf } from './s3-errors.ts';

export type BucketPlace = {
  bucket: string;
  /** Of a server that is not AWS. */
  endpoint: string | undefined;
  region: string;
};

/** What TLS makes of an answer in plain HTTP. */
const NO_TLS = ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST'];

/** The error to throw for what HEAD of the bucket came to: says what is wrong, and what to do. */
export function bucketError(error: unknown, { bucket, endpoint, region }: BucketPlace): Error {
  const where = endpoint ?? `S3 in ${region}`;
  // An answer to HEAD has no body, so its status is all there is: the SDK's own error, `UnknownError`, says nothing more.
  switch (statusOf(error)) {
    case 404:
      return new Error(`there is no bucket ${bucket} at ${where}: create it, or correct its name`);
    case 403:
      return new Error(
        `access to the bucket ${bucket} at ${where} is denied: check the access key, or give the role s3:ListBucket on it`,
      );
    case 301:
    case 400: {
      const orTls = endpoint?.startsWith('http:')
        ? ', or the server speaks HTTPS: then set s3_secure (AWS_SECURE) to true'
        : '';
      return new Error(
        `the bucket ${bucket} cannot be used at ${where}: it is probably in another region than ${region}${orTls}`,
      );
    }
  }
  if (hasCode(error, ...NO_TLS)) {
    return new Error(
      `the server at ${where} does not answer with HTTPS: if it speaks HTTP, set s3_secure (AWS_SECURE) to false`,
    );
  }
  const failure = asStorageError(`looking for the bucket ${bucket} at ${where}`, error);
  if (!isUnreachable(error)) return failure;
  const remedy = endpoint
    ? 'start it, or correct boto_host and boto_port'
    : 'correct s3_region, if it is not the network';
  return new StorageUnavailableError(`${failure.message}: ${remedy}`, { cause: error });
}
