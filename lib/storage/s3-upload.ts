import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompleteMultipartUploadCommandOutput,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { PART_BYTES } from './multipart-limits.ts';

/** How many parts of one upload are sent at once. */
export const PARTS_IN_FLIGHT = 2;

/** What has been sent of an upload so far, by which to know later that an object is its own. */
export class SentUpload {
  readonly #partEtags = new Map<number, string>();
  #body: Uint8Array | undefined;

  /**
   * The ETag that the object has if it came of this upload: S3 makes it of the MD5 of the body, or of those of the parts.
   * With other ways of encryption than S3's own it is another, and nobody can tell.
   * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
   */
  get etag(): string {
    const md5 = createHash('md5');
    if (this.#body) return `"${md5.update(this.#body).digest('hex')}"`;
    const numbers = [...this.#partEtags.keys()].sort((a, b) => a - b);
    for (const number of numbers)
      md5.update(Buffer.from(this.#partEtags.get(number)?.replaceAll('"', '') ?? '', 'hex'));
    return `"${md5.digest('hex')}-${numbers.length}"`;
  }

  /** Sends what the upload asks for, and keeps in mind what tells its object from another's. */
  async send(client: S3Client, command: SentCommand): Promise<unknown> {
    if (command instanceof PutObjectCommand && command.input.Body instanceof Uint8Array) {
      this.#body = command.input.Body;
    }
    const output: unknown = await client.send(command);
    if (command instanceof UploadPartCommand) {
      this.#partEtags.set(command.input.PartNumber ?? 0, (output as UploadPartCommandOutput).ETag ?? '');
    }
    return output;
  }
}

type SentCommand = Parameters<S3Client['send']>[0];

/**
 * Stores a body whose size nobody knows: one PUT up to the size of a part, else a multipart upload, which is aborted if the
 * body throws. Conditions in `params` are put on the PUT or on the completion.
 * @param sent is told what was sent
 */
export async function uploadStream(
  client: S3Client,
  params: Omit<PutObjectCommandInput, 'Body'>,
  chunks: AsyncIterable<Uint8Array>,
  sent: SentUpload,
  signal: AbortSignal | undefined,
): Promise<CompleteMultipartUploadCommandOutput> {
  const upload = new Upload({
    client: watching(client, sent, signal),
    params: { ...params, Body: Readable.from(chunks) },
    partSize: PART_BYTES,
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
function watching(client: S3Client, sent: SentUpload, signal: AbortSignal | undefined): S3Client {
  const send = async (command: SentCommand) => {
    if (!(command instanceof AbortMultipartUploadCommand)) signal?.throwIfAborted();
    return await sent.send(client, command);
  };
  return new Proxy(client, { get: (target, name) => (name === 'send' ? send : Reflect.get(target, name)) });
}
