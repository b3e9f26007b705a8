// Checksums of S3.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { UploadedPart } from './driver.ts';

export function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

export function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

export function sha256Of(chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** In base64, as `x-amz-checksum-crc32`. */
export function crc32Of(chunks: readonly Uint8Array[]): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(chunks.reduce((before, chunk) => crc32(chunk, before), 0));
  return bytes.toString('base64');
}

/**
 * Signs the request with the known hash of its body, which the SDK would otherwise compute again.
 * @param sha256 in hex, or `UNSIGNED_PAYLOAD`
 */
export function signWithHash(sha256: string, command: UploadPartCommand | PutObjectCommand): void {
  const { middlewareStack } = command as UploadPartCommand; // the middleware depends on no field of either
  middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      if (hasHeaders(request)) request.headers['x-amz-content-sha256'] = sha256;
      return await next(args);
    },
    { name: 'signWithHash', step: 'build' },
  );
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request;
}

/**
 * Whether the object with this checksum consists of these parts. `undefined` if the object or a part has no checksum.
 * @param checksum the checksum of the parts' checksums, in base64, and the number of parts: `wGyP…=-3`
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
