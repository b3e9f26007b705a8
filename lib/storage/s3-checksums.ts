// SHA-256 as S3 writes it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
import { createHash } from 'node:crypto';
import type { UploadPartCommand } from '@aws-sdk/client-s3';
import type { UploadedPart } from './driver.ts';

export function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

export function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

/** Lets the request be signed by the hash of its body that is known already: else the SDK hashes it once more. */
export function signBy(sha256: string, command: UploadPartCommand): void {
  command.middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      if (hasHeaders(request)) request.headers['x-amz-content-sha256'] = sha256;
      return await next(args);
    },
    { name: 'signByKnownHash', step: 'build' },
  );
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}

/**
 * Whether the object that has this checksum was made of these parts; `undefined` if a part has none, or the object none by
 * which to tell.
 * @param checksum of those of the parts, and their number: `wGyP…=-3`
 */
export function isMadeOfParts(checksum: string | undefined, parts: readonly UploadedPart[]): boolean | undefined {
  const ofHowMany = `-${parts.length}`;
  if (!checksum?.endsWith(ofHowMany)) return undefined;
  const hash = createHash('sha256');
  for (const { sha256 } of parts) {
    if (sha256 === undefined) return undefined;
    hash.update(sha256, 'hex');
  }
  return checksum === hash.digest('base64') + ofHowMany;
}
