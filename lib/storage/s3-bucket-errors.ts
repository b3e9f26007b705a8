// The messages for an operator whose bucket cannot be used when a process starts.

import { hasCode } from '../model/has-code.ts';
import { StorageUnavailableError } from './driver.ts';
import { asStorageError, isUnreachable, statusOf } from './s3-errors.ts';

export type BucketPlace = {
  bucket: string;
  /** The URL of a server other than AWS. */
  endpoint: string | undefined;
  region: string;
};

/** The codes of Node's errors when a server answers a TLS handshake in plain HTTP. */
const NO_TLS = ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_HTTP_REQUEST'];

/**
 * The error to throw when a HEAD request for the bucket has failed. Its message says what is wrong, and what to do.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
 */
export function bucketError(error: unknown, { bucket, endpoint, region }: BucketPlace): Error {
  const where = endpoint ?? `S3 in ${region}`;
  // The response to HEAD has no body, and so no error code: only the status is known.
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
  const remedy = endpoint ? 'start it, or correct boto_host and boto_port' : 'check s3_region and the network';
  return new StorageUnavailableError(`${failure.message}: ${remedy}`, { cause: error });
}
