// Objects of unknown size whose bytes come in memory of any kind: unpacked layers, layers of v1 clients, what other programs stream.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  type UploadPartCommandOutput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { PART_BYTES } from './multipart-limits.ts';
import { type BodyUpload, type UploadTarget, wasSentOnce } from './s3-upload.ts';

/** How many parts are sent at once, while the next one is gathered. */
const PARTS_IN_FLIGHT = 2;

const MAX_CHUNK_BYTES = PART_BYTES / 2;

/** Records what an upload has sent, to recognize its object after a lost response. */
class SentUpload {
  readonly #partEtags = new Map<number, string>();
  readonly #partMemory = new PartMemory();
  #body: Uint8Array | undefined;

  /**
   * The ETag of this upload's object: the MD5 of the body, or of the MD5s of the parts and their number. With SSE-KMS or SSE-C
   * objects have other ETags, and the upload cannot be recognized.
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

  /** Sends a command of the upload, and records what its ETag depends on. */
  async send(client: S3Client, command: SentCommand): Promise<unknown> {
    if (command instanceof PutObjectCommand && command.input.Body instanceof Uint8Array) {
      this.#body = command.input.Body;
    }
    if (!(command instanceof UploadPartCommand)) return await client.send(command);
    const { PartNumber = 0, Body } = command.input;
    const memory = Body instanceof Uint8Array && Body.buffer instanceof ArrayBuffer ? Body.buffer : undefined;
    this.#partMemory.begin(memory);
    const output: UploadPartCommandOutput = await client.send(command);
    if (wasSentOnce(output)) this.#partMemory.end(memory);
    else this.#partMemory.leave(memory);
    this.#partEtags.set(PartNumber, output.ETag ?? '');
    return output;
  }
}

/** Splits large chunks: `Upload` would send a chunk of the size of a part from the caller's own memory, which is not to be freed. */
async function* smallerThanParts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += MAX_CHUNK_BYTES) {
      yield chunk.subarray(start, start + MAX_CHUNK_BYTES);
    }
  }
}

/**
 * Frees the memory of parts that S3 has taken. Left to the garbage collector, which counts it late, they would double the memory
 * of an upload. `Upload` gathers a part in memory of its own, whose last bytes may begin the next part, or be all of it: so memory
 * is freed once no part in it is being sent and a part in other memory has begun. That of a part that failed, or was
 * sent again, is left to the garbage collector.
 */
class PartMemory {
  readonly #parts = new Map<ArrayBuffer, number>();
  readonly #left = new WeakSet<ArrayBuffer>();
  #newest: ArrayBuffer | undefined;

  begin(memory: ArrayBuffer | undefined): void {
    const before = this.#newest;
    this.#newest = memory;
    if (memory && !this.#left.has(memory)) this.#parts.set(memory, (this.#parts.get(memory) ?? 0) + 1);
    this.#freeIfUnused(before);
  }

  end(memory: ArrayBuffer | undefined): void {
    const parts = memory && this.#parts.get(memory);
    if (!memory || parts === undefined) return;
    this.#parts.set(memory, parts - 1);
    this.#freeIfUnused(memory);
  }

  /** A connection may still send from this memory. */
  leave(memory: ArrayBuffer | undefined): void {
    if (!memory) return;
    this.#left.add(memory);
    this.#parts.delete(memory);
  }

  #freeIfUnused(memory: ArrayBuffer | undefined): void {
    if (!memory || memory === this.#newest || this.#parts.get(memory) !== 0) return;
    this.#parts.delete(memory);
    memory.transfer(0);
  }
}

type SentCommand = Parameters<S3Client['send']>[0];

/** One upload of a body whose memory is not lent, by lib-storage, which gathers parts in memory of its own. */
export class StreamUpload implements BodyUpload {
  readonly #client: S3Client;
  readonly #target: UploadTarget;
  readonly #signal: AbortSignal | undefined;
  readonly #sent = new SentUpload();

  /** @param target conditions in it apply to the PUT, or to the completion */
  constructor(client: S3Client, target: UploadTarget, { signal }: { signal?: AbortSignal }) {
    this.#client = client;
    this.#target = target;
    this.#signal = signal;
  }

  get etag(): string {
    return this.#sent.etag;
  }

  async run(body: AsyncIterable<Uint8Array>): Promise<{ ETag?: string | undefined }> {
    const upload = new Upload({
      client: abortableClient(this.#client, this.#sent, this.#signal),
      params: { ...this.#target, Body: Readable.from(smallerThanParts(body)) },
      partSize: PART_BYTES,
      queueSize: PARTS_IN_FLIGHT,
      leavePartsOnError: false,
    });
    return await upload.done();
  }
}

/**
 * The client for an `Upload` that can be aborted. `Upload`'s own `abortController` rejects at once and cleans up later, or never
 * while the body stalls (lib-storage 3.1173). When its body throws, it waits for the parts in flight and aborts the multipart
 * upload before it rejects, so an abort reaches it as a body that throws. If the body has ended before, this client refuses
 * to send anything but the abort.
 */
function abortableClient(client: S3Client, sent: SentUpload, signal: AbortSignal | undefined): S3Client {
  const send = async (command: SentCommand) => {
    if (!(command instanceof AbortMultipartUploadCommand)) signal?.throwIfAborted();
    return await sent.send(client, command);
  };
  return new Proxy(client, { get: (target, name) => (name === 'send' ? send : Reflect.get(target, name)) });
}
