import { Readable } from 'node:stream';
import type { PutObjectCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { BLOCK_BYTES } from '../streams/block-pool.ts';

/**
 * Sends the chunks as the body of the request, without joining them. The command has no `Body`, so the SDK repeats the request if
 * it fails, as it does not do with streams: each attempt reads the chunks anew. The command needs `ContentLength`.
 */
export function sendChunks(chunks: readonly Uint8Array[], command: UploadPartCommand | PutObjectCommand): void {
  const { middlewareStack } = command as UploadPartCommand; // the middleware depends on no field of either
  middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      // The signer has made this request for one attempt.
      if (typeof request === 'object' && request !== null) Object.assign(request, { body: Readable.from(chunks) });
      return await next(args);
    },
    { name: 'sendChunks', step: 'deserialize', priority: 'high' },
  );
}

/**
 * Sends large bodies in blocks. TLS encrypts all that one call writes before it sends any of it: a part written by one call would take
 * up three times its size while the server does not read, not once and 2 MiB.
 */
export function sendInBlocks(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      const body = typeof request === 'object' && request !== null && 'body' in request ? request.body : undefined;
      // The signer has made this request for one attempt.
      if (body instanceof Uint8Array && body.length > BLOCK_BYTES) {
        Object.assign(request as object, { body: Readable.from(blocksOf(body)) });
      }
      return await next(args);
    },
    { name: 'sendInBlocks', step: 'deserialize', priority: 'high' },
  );
}

function* blocksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += BLOCK_BYTES) yield bytes.subarray(start, start + BLOCK_BYTES);
}
