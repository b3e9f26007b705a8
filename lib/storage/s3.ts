import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { ReadWriteLocks } from '../concurrency/key-locks.ts';
import { mapConcurrently } from '../concurrency/map-concurrently.ts';
import { type Key, type KeyPrefix, layout } from '../model/layout.ts';
import { KiB, readAll } from '../streams/bytes.ts';
import { assertRange, streamReadable, watchBody } from './byte-streams.ts';
import {
  type ByteRange,
  checkLook,
  type DeleteOptions,
  type Deletion,
  type ETag,
  type LimitedLook,
  type MultipartUpload,
  type ObjectInfo,
  type PutOptions,
  type PutStreamOptions,
  type ReadObject,
  type StorageDriver,
  type StoredObject,
  type UploadedPart,
} from './driver.ts';
import type { Agents } from './s3-agents.ts';
import { BatchDeletes } from './s3-batch-deletes.ts';
import { bucketError } from './s3-bucket-errors.ts';
import { isMadeOfParts, signWithHash, toBase64, toHex } from './s3-checksums.ts';
import { IDLE_TIMEOUT_MILLISECONDS, S3Clients, type S3DriverOptions } from './s3-client.ts';
import { type DeleteConditions, deleteObject, probeDeleteConditions } from './s3-delete-conditions.ts';
import {
  answerOf,
  answerUnless,
  asStorageError,
  errorOf,
  isAbsent,
  isConditionFailed,
  isConflict,
  isFull,
  isRefusal,
  type Refusal,
  statusOf,
  wasRetried,
} from './s3-errors.ts';
import type { ListPage, ListRequest } from './s3-list-page.ts';
import { dateOf, etagOf } from './s3-object-info.ts';
import { SMALL_BYTES } from './s3-requests.ts';
import { signToExpire } from './s3-signing-date.ts';
import type { BodyUpload, PartProof } from './s3-upload.ts';

/** The most that one CopyObject takes. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
const MAX_COPY_BYTES = 5 * 1024 ** 3;
const COPIED_PART_BYTES = 1024 ** 3;

/** What `checkRoom` writes. */
const PROBE = new Uint8Array(64 * KiB);

/** Any key: its presigned URL shows how the SDK addresses an object. */
const SAMPLE_KEY = 'sample';

const UNCONDITIONAL_DELETES =
  'this S3 server ignores If-Match on DELETE: if several servers use one bucket, a tag that one of them pushes in the ' +
  'milliseconds in which another deletes it is lost (docs/configuration.md, "Several processes")';

/** How often a PUT is sent if S3 could not decide its condition because another write was under way. */
const CONFLICT_ATTEMPTS = 5;
const CONFLICT_PAUSE_MILLISECONDS = 50;

/** Objects to look at while writing. */
type Objects = Pick<StorageDriver, 'head' | 'read'>;

/**
 * The operations of `S3Driver` by the AWS SDK: writes, and reads that need retries or that fail. A call takes one request unless its
 * comment says more.
 */
export class S3SdkDriver {
  readonly #options: S3DriverOptions;
  readonly #clients: S3Clients;
  readonly #client: S3Client;
  readonly #objects: Objects;
  /** True once the server has refused checksums of parts. AWS takes them. */
  #refusesChecksums = false;
  readonly #partProof: PartProof = { isByChecksum: true };
  /** For servers that ignore conditions of deletes: deletes exclude the puts of this process, or of all workers of a server. */
  readonly #putsAndDeletes: ReadWriteLocks;
  #probedDeletes: Promise<DeleteConditions> | undefined;
  readonly #batchDeletes: BatchDeletes;

  /**
   * @param region is called for every request, so that the region may change once the bucket's own is known
   * @param locks that the caller takes for puts, where deletes need them
   */
  constructor(
    options: S3DriverOptions,
    agents: Agents,
    region: () => Promise<string>,
    objects: Objects,
    locks: ReadWriteLocks,
  ) {
    this.#putsAndDeletes = locks;
    this.#options = options;
    this.#clients = new S3Clients(options, agents, region);
    this.#client = this.#clients.small;
    this.#objects = objects;
    this.#batchDeletes = new BatchDeletes(this.#client, options.bucket);
  }

  get config(): Pick<S3Client['config'], 'credentials' | 'systemClockOffset'> {
    return this.#client.config;
  }

  /** The URL that keys are appended to: `https://bucket.s3.eu-west-1.amazonaws.com/`, or as the options have it. */
  async baseUrl(): Promise<URL> {
    const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: SAMPLE_KEY });
    return new URL('.', await getSignedUrl(this.#client, command));
  }

  /**
   * The region of the bucket, if the server tells it.
   * @throws Error that tells the operator what is wrong
   */
  async verifyBucket(): Promise<string | undefined> {
    const { bucket, endpoint } = this.#options;
    const region = await this.#client.config.region();
    try {
      const { BucketRegion } = await this.#client.send(new HeadBucketCommand({ Bucket: bucket }));
      return BucketRegion;
    } catch (error) {
      throw bucketError(error, { bucket, endpoint, region });
    }
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    const request = this.#client.send(new HeadObjectCommand(this.#at(key)));
    const output = await answerUnless(isAbsent, `HEAD ${key}`, request);
    return output && { key, sizeBytes: output.ContentLength ?? 0, etag: etagOf(output), lastModified: dateOf(output) };
  }

  async get(key: Key, options: { range?: ByteRange; signal?: AbortSignal } = {}): Promise<StoredObject | undefined> {
    return await this.#get(this.#clients.downloads, key, options);
  }

  async #get(
    client: S3Client,
    key: Key,
    { range, signal }: { range?: ByteRange; signal?: AbortSignal } = {},
  ): Promise<StoredObject | undefined> {
    signal?.throwIfAborted();
    if (range) assertRange(range);
    const command = new GetObjectCommand({ ...this.#at(key), Range: range && `bytes=${range.start}-${range.end}` });
    try {
      const output = await client.send(command, signal ? { abortSignal: signal } : {});
      const info = { key, sizeBytes: wholeSizeOf(output), etag: etagOf(output), lastModified: dateOf(output) };
      if (!(output.Body instanceof Readable)) throw new Error('the SDK returned no Node stream');
      const asReadError = (error: unknown) =>
        signal?.aborted ? signal.reason : asStorageError(`reading ${key}`, error);
      return { info, body: streamReadable(output.Body, asReadError, IDLE_TIMEOUT_MILLISECONDS) };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      signal?.throwIfAborted();
      if (range && statusOf(error) === 416) {
        throw new RangeError(`bytes ${range.start}-${range.end} do not lie within ${key}`, { cause: error });
      }
      throw asStorageError(`GET ${key}`, error);
    }
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    const object = await this.#get(this.#client, key);
    return object && { info: object.info, bytes: await readAll(object.body) };
  }

  /** @param earlier what the request got that was sent without the SDK: a refusal, or nothing, so that it may have been executed */
  async put(
    key: Key,
    body: Uint8Array,
    options: PutOptions = {},
    earlier?: Refusal | 'unanswered',
  ): Promise<ETag | undefined> {
    const command = new PutObjectCommand({
      ...this.#writing(key, options),
      Body: body,
      ChecksumSHA256: options.sha256 && toBase64(options.sha256),
    });
    if (options.sha256 !== undefined) signWithHash(options.sha256, command);
    const client = body.byteLength > SMALL_BYTES ? this.#clients.uploads : this.#client;
    const refusal = typeof earlier === 'object' ? earlier : undefined;
    if (!refusal) checkLook(options.look);
    if (options.look) signToExpire(command, options.look, () => this.#client.config.systemClockOffset);
    for (let attempt = 1; ; attempt++) {
      try {
        if (refusal && attempt === 1) throw errorOf(refusal);
        return etagOf(await client.send(command));
      } catch (error) {
        if (isFull(error)) this.#clients.wasFull = true;
        if (isConditional(options) && isConflict(error) && attempt < CONFLICT_ATTEMPTS) {
          await sleep(Math.random() * CONFLICT_PAUSE_MILLISECONDS * 2 ** attempt);
          continue;
        }
        if (!isConditional(options) || !isConditionFailed(error)) throw asStorageError(`PUT ${key}`, error);
        return wasRetried(error) || earlier === 'unanswered' ? await this.#etagIfHolding(key, body) : undefined;
      }
    }
  }

  /** One PUT up to 12 MiB, else n + 2 requests for n parts. */
  async putStream(
    key: Key,
    body: AsyncIterable<Uint8Array>,
    options: PutStreamOptions = {},
  ): Promise<ETag | undefined> {
    const { signal } = options;
    const watched = watchBody(body, signal);
    const upload = await this.#uploadOf(key, options);
    try {
      return etagOf(await upload.run(watched.chunks));
    } catch (error) {
      if (watched.failure) throw watched.failure.thrown;
      signal?.throwIfAborted();
      // The response to an earlier attempt may be lost, and its object make the condition fail.
      if (wasRetried(error) && (isConditionFailed(error) || isUnknownUpload(error))) {
        const info = await this.#objects.head(key);
        if (info?.etag === upload.etag) return info.etag;
      }
      if (isConditional(options)) {
        if (isConditionFailed(error)) return undefined;
        // S3 requires that the upload is repeated, and only the client has the bytes.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        if (isConflict(error) && !(await this.#conditionHolds(key, options))) return undefined;
      }
      throw asStorageError(`storing a stream as ${key}`, error);
    }
  }

  /** Loads what an upload needs: a process that only reads does without. */
  async #uploadOf(key: Key, options: PutStreamOptions): Promise<BodyUpload> {
    const [client, target] = [this.#clients.uploads, this.#writing(key, options)];
    if (!options.giveBack) return new (await import('./s3-stream-upload.ts')).StreamUpload(client, target, options);
    return new (await import('./s3-upload.ts')).S3Upload(client, target, this.#partProof, options);
  }

  /** Three requests up to 5 GiB, else n + 4 for n GiB. */
  async copyIfAbsent(from: Key, to: Key): Promise<boolean> {
    const [source, target] = await Promise.all([this.#objects.head(from), this.#objects.head(to)]);
    if (!source || target) return false;
    const CopySource = copySourceOf(this.#at(from));
    if (source.sizeBytes <= MAX_COPY_BYTES) {
      const request = this.#client.send(new CopyObjectCommand({ ...this.#writing(to, {}), CopySource }));
      await answerOf(`copying ${from} to ${to}`, request);
      return true;
    }
    const upload = { key: to, uploadId: await this.#startMultipart(to) };
    try {
      return await this.completeMultipart(upload, await this.#copyParts(CopySource, upload, source.sizeBytes));
    } catch (error) {
      await this.abortMultipart(upload);
      throw error;
    }
  }

  async #copyParts(CopySource: string, upload: MultipartUpload, sizeBytes: number): Promise<UploadedPart[]> {
    const partNumbers = Array.from({ length: Math.ceil(sizeBytes / COPIED_PART_BYTES) }, (_, index) => index + 1);
    return await mapConcurrently(partNumbers, async (partNumber) => {
      const start = (partNumber - 1) * COPIED_PART_BYTES;
      const end = Math.min(start + COPIED_PART_BYTES, sizeBytes) - 1;
      const CopySourceRange = `bytes=${start}-${end}`;
      const command = new UploadPartCopyCommand({
        ...this.#in(upload),
        PartNumber: partNumber,
        CopySource,
        CopySourceRange,
      });
      const { CopyPartResult } = await answerOf(`copying a part of ${upload.key}`, this.#client.send(command));
      return { partNumber, etag: etagOf(CopyPartResult ?? {}), sizeBytes: end - start + 1 };
    });
  }

  /** One page of a listing. @param prefix for the error message */
  async page(prefix: KeyPrefix, { prefix: Prefix, delimiter, after, token }: ListRequest): Promise<ListPage> {
    const command = new ListObjectsV2Command({
      Bucket: this.#options.bucket,
      Prefix,
      Delimiter: delimiter,
      StartAfter: after,
      ContinuationToken: token,
    });
    const page = await answerOf(`listing ${prefix}`, this.#client.send(command));
    return {
      objects: (page.Contents ?? []).map((object) => ({
        key: object.Key ?? '',
        sizeBytes: object.Size ?? 0,
        etag: etagOf(object),
        lastModified: dateOf(object),
      })),
      folders: (page.CommonPrefixes ?? []).map(({ Prefix: folder = '' }) => folder),
      nextToken: page.NextContinuationToken,
      isTruncated: page.IsTruncated === true,
    };
  }

  /** With `ifMatch`: two requests if the server ignores it, and three or four once to find that out. */
  async delete(key: Key, { ifMatch, onceWithin }: DeleteOptions = {}): Promise<boolean> {
    if (onceWithin) return await this.#deleteOnce(key, onceWithin);
    const isHonored = ifMatch === undefined || (await this.#deleteConditions()) === 'honored';
    const outcome = isHonored && (await deleteObject(this.#client, this.#at(key), ifMatch));
    if (ifMatch === undefined || (isHonored && outcome !== 'not understood')) return outcome === 'deleted';
    return await this.#compareAndDelete(key, ifMatch);
  }

  /** Two requests, whether the server honors conditions of deletes or not. */
  async deleteIf(key: Key, isWanted: (object: ReadObject) => boolean): Promise<Deletion> {
    const readAndDelete = async (): Promise<Deletion> => {
      const object = await this.#objects.read(key);
      if (!object) return 'absent';
      if (!isWanted(object)) return 'unwanted';
      const outcome = await deleteObject(this.#client, this.#at(key), object.info.etag);
      if (outcome === 'not understood') await this.delete(key);
      return outcome === 'changed' ? 'changed' : 'deleted';
    };
    if ((await this.#deleteConditions()) === 'honored') return await readAndDelete();
    // No put of this process comes between the two. A put of another process may, and is lost.
    return await this.#putsAndDeletes.exclusive(key, readAndDelete);
  }

  /** One request per 1,000 objects, and one for each object that the server does not delete by it. */
  async deleteMany(keys: readonly Key[]): Promise<void> {
    const left = new Set(await this.#batchDeletes.delete(keys.map((key) => this.#at(key).Key)));
    await mapConcurrently(
      keys.filter((key) => left.has(this.#at(key).Key)),
      (key) => this.delete(key),
    );
  }

  /** @throws StorageUnavailableError also where S3 may have executed the request without an answer */
  async #deleteOnce(key: Key, look: LimitedLook): Promise<true> {
    checkLook(look);
    const command = new DeleteObjectCommand(this.#at(key));
    signToExpire(command, look, () => this.#client.config.systemClockOffset);
    await answerUnless(isAbsent, `DELETE ${key}`, this.#clients.once.send(command));
    return true;
  }

  /**
   * For servers without conditional deletes. No put of this process comes between HEAD and DELETE. A put of another process may,
   * and is lost.
   */
  async #compareAndDelete(key: Key, ifMatch: ETag): Promise<boolean> {
    return await this.#putsAndDeletes.exclusive(key, async () => {
      const info = await this.#objects.head(key);
      if (!info) return true;
      if (info.etag !== ifMatch) return false;
      const outcome = await deleteObject(this.#client, this.#at(key), ifMatch);
      return outcome === 'not understood' ? await this.delete(key) : outcome === 'deleted';
    });
  }

  /** AWS honors them. Other servers are probed once, at the start or before the first conditional delete. */
  async #deleteConditions(): Promise<DeleteConditions> {
    if (this.#options.endpoint === undefined) return 'honored';
    this.#probedDeletes ??= probeDeleteConditions(this.#client, (key) => this.#at(key)).catch(() => {
      this.#probedDeletes = undefined; // the server could not respond: the next delete tries again
      return 'unknown' as const;
    });
    return await this.#probedDeletes;
  }

  async honorsDeleteConditions(): Promise<boolean> {
    return (await this.#deleteConditions()) === 'honored';
  }

  async findLimitations(): Promise<string[]> {
    return (await this.#deleteConditions()) === 'ignored' ? [UNCONDITIONAL_DELETES] : [];
  }

  /** Two requests the first time, if the server refuses checksums. */
  async createMultipart(key: Key): Promise<MultipartUpload> {
    if (!this.#refusesChecksums) {
      try {
        return { key, uploadId: await this.#startMultipart(key, { ChecksumAlgorithm: 'SHA256' }) };
      } catch (error) {
        const isUnknownHeader = error instanceof Error && statusOf(error.cause) === 501;
        if (!isUnknownHeader || this.#options.endpoint === undefined) throw error;
        this.#refusesChecksums = true;
      }
    }
    return { key, uploadId: await this.#startMultipart(key), refusesChecksums: true };
  }

  async #startMultipart(key: Key, checksums: { ChecksumAlgorithm?: 'SHA256' } = {}): Promise<string> {
    const request = this.#client.send(new CreateMultipartUploadCommand({ ...this.#writing(key, {}), ...checksums }));
    const { UploadId: uploadId } = await answerOf(`starting a multipart upload of ${key}`, request);
    if (uploadId === undefined) throw new Error('the server sent no upload id');
    return uploadId;
  }

  async uploadPart(upload: MultipartUpload, partNumber: number, body: Uint8Array): Promise<UploadedPart | undefined> {
    const sha256 = createHash('sha256').update(body).digest('hex');
    const isChecked = !upload.refusesChecksums;
    const command = new UploadPartCommand({
      ...this.#in(upload),
      PartNumber: partNumber,
      Body: body,
      ChecksumSHA256: isChecked ? toBase64(sha256) : undefined,
    });
    signWithHash(sha256, command);
    const request = this.#clients.uploads.send(command);
    const output = await answerUnless(isUnknownUpload, `uploading part ${partNumber} of ${upload.key}`, request);
    return output && { partNumber, etag: etagOf(output), sizeBytes: body.byteLength, ...(isChecked && { sha256 }) };
  }

  /** One request per 1,000 parts. */
  async listParts(upload: MultipartUpload): Promise<UploadedPart[] | undefined> {
    const parts: UploadedPart[] = [];
    for (let marker: string | undefined; ; ) {
      const request = this.#client.send(new ListPartsCommand({ ...this.#in(upload), PartNumberMarker: marker }));
      const page = await answerUnless(isUnknownUpload, `listing the parts of ${upload.key}`, request);
      if (!page) return undefined;
      for (const part of page.Parts ?? []) {
        const { PartNumber: partNumber = 0, Size: sizeBytes = 0, ChecksumSHA256: checksum } = part;
        parts.push({ partNumber, etag: etagOf(part), sizeBytes, ...(checksum && { sha256: toHex(checksum) }) });
      }
      if (page.IsTruncated !== true) return parts;
      marker = page.NextPartNumberMarker;
    }
  }

  async completeMultipart(upload: MultipartUpload, parts: readonly UploadedPart[]): Promise<boolean> {
    const Parts = parts.map(({ partNumber, etag, sha256 }) => ({
      PartNumber: partNumber,
      ETag: etag,
      ChecksumSHA256: sha256 && toBase64(sha256),
    }));
    const command = new CompleteMultipartUploadCommand({ ...this.#in(upload), MultipartUpload: { Parts } });
    try {
      const { ChecksumSHA256 } = await this.#client.send(command);
      // A server may also confirm an upload that another process has completed from other parts.
      return isMadeOfParts(ChecksumSHA256, parts) ?? true;
    } catch (error) {
      if (isRefusal(error, 'InvalidPart')) return false;
      if (isUnknownUpload(error)) return wasRetried(error) && (await this.#isMadeOf(upload.key, parts));
      throw asStorageError(`completing ${upload.key} of ${parts.length} parts`, error);
    }
  }

  async abortMultipart(upload: MultipartUpload): Promise<void> {
    const request = this.#client.send(new AbortMultipartUploadCommand(this.#in(upload)));
    await answerUnless(isUnknownUpload, `aborting the multipart upload of ${upload.key}`, request);
  }

  /** No request, unless the server has refused an object because it is full: then two, until it takes a small object. */
  async checkRoom(): Promise<void> {
    if (!this.#clients.wasFull) return;
    const key = layout.uploadScrap(randomUUID());
    await this.put(key, PROBE);
    this.#clients.wasFull = false;
    await this.delete(key);
  }

  async close(): Promise<void> {
    this.#clients.destroy();
  }

  #at(key: Key): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.keyPrefix + key };
  }

  #in({ key, uploadId }: MultipartUpload): { Bucket: string; Key: string; UploadId: string } {
    return { ...this.#at(key), UploadId: uploadId };
  }

  #writing(key: Key, { contentType, ifAbsent, ifMatch }: PutOptions) {
    return {
      ...this.#at(key),
      ContentType: contentType,
      IfNoneMatch: ifAbsent ? '*' : undefined,
      IfMatch: ifMatch,
      ServerSideEncryption: this.#options.encrypt ? ('AES256' as const) : undefined,
    };
  }

  async #conditionHolds(key: Key, { ifAbsent, ifMatch }: PutOptions): Promise<boolean> {
    const info = await this.#objects.head(key);
    return ifAbsent ? info === undefined : info?.etag === ifMatch;
  }

  /** The object's ETag if it has these bytes: then the PUT whose response was lost counts as successful. */
  async #etagIfHolding(key: Key, body: Uint8Array): Promise<ETag | undefined> {
    const object = await this.#objects.read(key);
    return object && Buffer.compare(object.bytes, body) === 0 ? object.info.etag : undefined;
  }

  /**
   * Whether the object consists of these parts: then the completion whose response was lost was successful. Its checksum tells;
   * if the server keeps none, its size and the number of parts in its ETag.
   * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
   */
  async #isMadeOf(key: Key, parts: readonly UploadedPart[]): Promise<boolean> {
    const request = this.#client.send(new HeadObjectCommand({ ...this.#at(key), ChecksumMode: 'ENABLED' }));
    const object = await answerUnless(isAbsent, `HEAD ${key}`, request);
    if (!object) return false;
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const hasSameShape = object.ContentLength === sizeBytes && etagOf(object).endsWith(`-${parts.length}"`);
    return isMadeOfParts(object.ChecksumSHA256, parts) ?? hasSameShape;
  }
}

function isConditional({ ifAbsent, ifMatch }: PutOptions): boolean {
  return ifAbsent === true || ifMatch !== undefined;
}

/** Bucket and key, each part of the key percent-encoded. */
function copySourceOf({ Bucket, Key: key }: { Bucket: string; Key: string }): string {
  return `${Bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
}

function isUnknownUpload(error: unknown): boolean {
  return isRefusal(error, 'NoSuchUpload');
}

/** The size of the whole object, which the response to a range has in `Content-Range: bytes 0-99/1234`. */
function wholeSizeOf({ ContentRange: range, ContentLength: length }: GetObjectCommandOutput): number {
  return range === undefined ? (length ?? 0) : Number(range.slice(range.indexOf('/') + 1));
}
