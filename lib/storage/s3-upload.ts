import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompleteMultipartUploadCommandOutput,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

/**
 * 100 MiB make nine parts, which is what our budget of requests allows, and the 10,000 parts of S3 make 117 GiB. Two in
 * flight and one being gathered are 36 MiB, however large the upload; what awaits the garbage collector comes on top.
 */
export const PART_SIZE_BYTES = 12 * 1024 * 1024;
export const PARTS_IN_FLIGHT = 2;

/**
 * Stores a body whose size nobody knows: one PUT up to the size of a part, else a multipart upload, which is aborted if the
 * body throws. Conditions in `params` are put on the PUT or on the completion.
 */
export async function uploadStream(
  client: S3Client,
  params: Omit<PutObjectCommandInput, 'Body'>,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<CompleteMultipartUploadCommandOutput> {
  const upload = new Upload({
    client: signal ? refusingAfterAbort(client, signal) : client,
    params: { ...params, Body: Readable.from(chunks) },
    partSize: PART_SIZE_BYTES,
    queueSize: PARTS_IN_FLIGHT,
    leavePartsOnError: false,
  });
  return await upload.done();
}

/**
 * Upload's own `abortController` rejects at once and cleans up behind our back: when the parts in flight have arrived, or
 * never while the body stalls (lib-storage 3.1173). So an abort comes to it as a body that throws, after which it waits for
 * what is in flight and aborts the multipart upload before it rejects. The body may have ended before: then this client
 * keeps it from sending anything but aborts.
 */
function refusingAfterAbort(client: S3Client, signal: AbortSignal): S3Client {
  const send = async (command: Parameters<S3Client['send']>[0]) => {
    if (!(command instanceof AbortMultipartUploadCommand)) signal.throwIfAborted();
    return await client.send(command);
  };
  return new Proxy(client, { get: (target, name) => (name === 'send' ? send : Reflect.get(target, name)) });
}
