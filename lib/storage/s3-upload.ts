// Objects of unknown size: one PUT, or a multipart upload whose parts are sent while the next one arrives.
import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type PutObjectCommandOutput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { UNSIGNED_PAYLOAD } from './aws-signature.ts';
import type { PutStreamOptions } from './driver.ts';
import { MAX_PARTS, PART_BYTES } from './multipart-limits.ts';
import { crc32Of, sha256Of, signWithHash } from './s3-checksums.ts';
import { sendChunks } from './s3-chunked-body.ts';
import { isRefusal, statusOf } from './s3-errors.ts';

/** How many parts of one upload are in memory: sent, or gathered from the body. */
export const PARTS_AT_ONCE = 2;

/** What is stored, and where. */
export type UploadTarget = Omit<PutObjectCommandInput, 'Body'>;

/** The upload of one body of unknown size. */
export type BodyUpload = {
  /**
   * The ETag of this upload's object, to recognize it after a lost response: the MD5 of the body, or of the MD5s of the parts and
   * their number. With SSE-KMS or SSE-C objects have other ETags, and the upload cannot be recognized.
   * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
   */
  readonly etag: string;
  /**
   * Stores the body by one PUT up to the size of a part, else by a multipart upload, which is aborted if this fails.
   * @param body ends with an error if the signal of the options aborts while it is read
   * @returns the ETag that the server gave
   */
  run(body: AsyncIterable<Uint8Array>): Promise<{ ETag?: string | undefined }>;
};

export type UploadOptions = Pick<PutStreamOptions, 'signal' | 'giveBack' | 'bodySha256'>;

/**
 * How the server proves that it has got the bytes of a part that were sent. By the CRC-32 of the part, a fifth of the CPU time of a
 * SHA-256: the body is not signed, its checksum is, and the server answers with the checksum of what has arrived. Or by a SHA-256
 * that is signed, which all servers check. A server is taken to check CRC-32 until it refuses it or leaves it out of an answer.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
export type PartProof = { isByChecksum: boolean };

/** The chunks of one part. */
type Part = { chunks: Uint8Array[]; sizeBytes: number };

/** One upload of a body in lent blocks: its parts are lists of them. Each is given back once it is sent, unless it was sent again. */
export class S3Upload implements BodyUpload {
  readonly #client: S3Client;
  readonly #target: UploadTarget;
  readonly #proof: PartProof;
  readonly #options: UploadOptions;
  readonly #sent = new Map<number, CompletedPart>();
  readonly #inFlight = new Set<Promise<void>>();
  #partCount = 0;
  #whole: Part | undefined;
  #uploadId: string | undefined;
  /** The server expects a checksum with each part. */
  #hasChecksums = false;
  #failure: { error: unknown } | undefined;

  /** @param target conditions in it apply to the PUT, or to the completion */
  constructor(client: S3Client, target: UploadTarget, proof: PartProof, options: UploadOptions) {
    this.#client = client;
    this.#target = target;
    this.#proof = proof;
    this.#options = options;
  }

  get etag(): string {
    const md5 = createHash('md5');
    if (this.#whole) {
      for (const chunk of this.#whole.chunks) md5.update(chunk);
      return `"${md5.digest('hex')}"`;
    }
    for (const { ETag = '' } of this.#parts()) md5.update(Buffer.from(ETag.replaceAll('"', ''), 'hex'));
    return `"${md5.digest('hex')}-${this.#sent.size}"`;
  }

  async run(body: AsyncIterable<Uint8Array>): Promise<{ ETag?: string | undefined }> {
    try {
      const last = await this.#sendParts(body);
      if (this.#uploadId === undefined) return await this.#put(last);
      await this.#start(last);
      await this.#settle();
      return await this.#complete();
    } catch (error) {
      await Promise.all(this.#inFlight);
      await this.#abort();
      throw error;
    }
  }

  /** Sends all parts but the last, which it returns: it may be the whole body. */
  async #sendParts(body: AsyncIterable<Uint8Array>): Promise<Part> {
    let part: Part = { chunks: [], sizeBytes: 0 };
    for await (const chunk of body) {
      this.#throwIfFailed();
      for (let rest = chunk; rest.length > 0; ) {
        if (part.sizeBytes === PART_BYTES) {
          await this.#start(part);
          part = { chunks: [], sizeBytes: 0 };
        }
        const head = rest.subarray(0, PART_BYTES - part.sizeBytes);
        part.chunks.push(head);
        part.sizeBytes += head.length;
        // A chunk is given back once, so its memory belongs to one part: the next one gets a copy.
        rest = new Uint8Array(rest.subarray(head.length));
      }
    }
    return part;
  }

  /** Begins to send a part, and waits until there is memory for the next one. */
  async #start(part: Part): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (this.#uploadId === undefined) await this.#create();
    this.#partCount++;
    if (this.#partCount > MAX_PARTS) throw new Error(`an object has ${MAX_PARTS} parts at most`);
    const sending: Promise<void> = this.#sendPart(this.#partCount, part)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
    while (this.#inFlight.size >= PARTS_AT_ONCE) await Promise.race(this.#inFlight);
    this.#throwIfFailed();
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#throwIfFailed();
    this.#options.signal?.throwIfAborted();
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  async #put(part: Part): Promise<{ ETag?: string | undefined }> {
    this.#options.signal?.throwIfAborted();
    this.#whole = part;
    const command = new PutObjectCommand({ ...this.#target, ContentLength: part.sizeBytes });
    signWithHash(this.#options.bodySha256?.() ?? sha256Of(part.chunks), command);
    sendChunks(part.chunks, command);
    const output = await this.#client.send(command);
    if (wasSentOnce(output)) this.#giveBack(part);
    return output;
  }

  async #create(): Promise<void> {
    const { IfMatch: _, IfNoneMatch: __, ...target } = this.#target;
    const create = async (isByChecksum: boolean) => {
      const ChecksumAlgorithm = isByChecksum ? ('CRC32' as const) : undefined;
      const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm }));
      if (UploadId === undefined) throw new Error('the server sent no upload id');
      this.#uploadId = UploadId;
      this.#hasChecksums = isByChecksum;
    };
    try {
      await create(this.#proof.isByChecksum);
    } catch (error) {
      if (!this.#proof.isByChecksum || statusOf(error) !== 501) throw error; // another error than an unknown header
      this.#proof.isByChecksum = false;
      await create(false);
    }
  }

  async #sendPart(PartNumber: number, part: Part): Promise<void> {
    const crc32 = this.#hasChecksums ? crc32Of(part.chunks) : undefined;
    const send = async (sha256: string) => {
      const command = new UploadPartCommand({
        ...this.#at(),
        PartNumber,
        ContentLength: part.sizeBytes,
        ChecksumCRC32: crc32,
      });
      signWithHash(sha256, command);
      sendChunks(part.chunks, command);
      return await this.#client.send(command);
    };
    const isByChecksum = this.#proof.isByChecksum && crc32 !== undefined;
    const unsigned = isByChecksum ? await send(UNSIGNED_PAYLOAD).catch(unlessUnsignedRefused) : undefined;
    const isProven = unsigned !== undefined && unsigned.ChecksumCRC32 === crc32;
    const output = isProven ? unsigned : await send(sha256Of(part.chunks));
    if (isByChecksum && !isProven) this.#proof.isByChecksum = false; // now that the server has taken the signed part
    this.#sent.set(PartNumber, { PartNumber, ETag: output.ETag, ChecksumCRC32: output.ChecksumCRC32 });
    if (wasSentOnce(output) && isProven === isByChecksum) this.#giveBack(part);
  }

  async #complete(): Promise<{ ETag?: string | undefined }> {
    const { IfMatch, IfNoneMatch } = this.#target;
    const MultipartUpload = { Parts: this.#parts() };
    const command = new CompleteMultipartUploadCommand({ ...this.#at(), IfMatch, IfNoneMatch, MultipartUpload });
    return await this.#client.send(command);
  }

  /** Errors are dropped in favour of the first one. */
  async #abort(): Promise<void> {
    if (this.#uploadId === undefined) return;
    await this.#client.send(new AbortMultipartUploadCommand(this.#at())).catch(() => undefined);
  }

  #at() {
    const { Bucket, Key } = this.#target;
    return { Bucket, Key, UploadId: this.#uploadId };
  }

  #parts(): CompletedPart[] {
    return [...this.#sent.values()].sort(({ PartNumber: a = 0 }, { PartNumber: b = 0 }) => a - b);
  }

  /** To be called when the server has answered that it has all bytes of a part, which were sent once. */
  #giveBack(part: Part): void {
    const { giveBack } = this.#options;
    if (giveBack) for (const chunk of part.chunks) giveBack(chunk);
  }
}

/**
 * Whether a request had one attempt. A server may refuse an attempt before its body has arrived: then its connection still sends the
 * body during the next attempt, and after it.
 */
export function wasSentOnce({ $metadata }: Pick<PutObjectCommandOutput, '$metadata'>): boolean {
  return $metadata.attempts === 1;
}

/** Bucket policies may forbid unsigned bodies, and some servers do not know them. */
function unlessUnsignedRefused(error: unknown): undefined {
  const status = statusOf(error);
  if (status !== 403 && status !== 501 && !isRefusal(error, 'XAmzContentSHA256Mismatch')) throw error;
}
