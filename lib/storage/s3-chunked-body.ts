import { Readable } from 'node:stream';
import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';

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
