import { type ReadWriteLocks, SharedKeyLocks } from '../concurrency/key-locks.ts';
import type { Key, KeyPrefix } from '../model/layout.ts';
import { streamOf } from '../streams/byte-source.ts';
import { compareByteOrder } from './byte-order.ts';
import { assertRange } from './byte-streams.ts';
import type {
  ByteRange,
  DeleteOptions,
  Deletion,
  ETag,
  MultipartUpload,
  ObjectInfo,
  PresignOptions,
  PutOptions,
  PutStreamOptions,
  ReadObject,
  StorageDriver,
  StoredObject,
  UploadedPart,
} from './driver.ts';
import { StorageUnavailableError } from './driver.ts';
import { HttpExchanges } from './http-exchanges.ts';
import { isOfKept, KeptObjects } from './kept-objects.ts';
import { Md5Etags } from './md5-etags.ts';
import type { S3SdkDriver } from './s3.ts';
import { S3Access } from './s3-access.ts';
import { createAgents } from './s3-agents.ts';
import type { S3DriverOptions } from './s3-client.ts';
import type { ListPage } from './s3-list-page.ts';
import { infoOf } from './s3-object-info.ts';
import { PlainReads } from './s3-plain-reads.ts';
import type { PlainWrites } from './s3-plain-writes.ts';
import { SMALL_BYTES } from './s3-requests.ts';
import { SharedReads } from './shared-reads.ts';

/**
 * Objects in a bucket of S3, or of a server that speaks its protocol. A call takes one request unless a comment here or in `s3.ts` says
 * more. Reads and small puts whose answer is a usual one go without the AWS SDK, which is loaded by the first call that needs it.
 */
export class S3Driver implements StorageDriver {
  readonly #options: S3DriverOptions;
  readonly #access: S3Access;
  /** For servers that ignore conditions of deletes: deletes exclude the puts of this process, or of all workers of a server. */
  readonly #putsAndDeletes: ReadWriteLocks;
  readonly #hasSharedLocks: boolean;
  readonly #agents = createAgents();
  readonly #exchanges = new HttpExchanges();
  readonly #plainReads: PlainReads;
  readonly #sharedReads = new SharedReads<ReadObject | undefined>();
  readonly #kept = new KeptObjects();
  readonly #md5Etags = new Md5Etags();
  #plainWrites: Promise<PlainWrites> | undefined;
  #loading: Promise<S3SdkDriver> | undefined;
  #loaded: S3SdkDriver | undefined;

  /** @param locks those of several workers; by default this process has its own */
  constructor(options: S3DriverOptions, locks?: ReadWriteLocks) {
    if (options.keyPrefix !== '' && !options.keyPrefix.endsWith('/')) {
      throw new Error(`the key prefix ${JSON.stringify(options.keyPrefix)} must be empty or end in "/"`);
    }
    this.#options = options;
    this.#putsAndDeletes = locks ?? new SharedKeyLocks();
    this.#hasSharedLocks = locks !== undefined;
    this.#access = new S3Access(options, { load: () => this.#sdk(), loaded: () => this.#loaded });
    this.#plainReads = new PlainReads(this.#access, this.#exchanges);
  }

  /** Loaded by the first write: a function that is started for a pull does without. */
  async #writes(): Promise<PlainWrites> {
    this.#plainWrites ??= import('./s3-plain-writes.ts').then(
      ({ PlainWrites }) => new PlainWrites(this.#access, this.#exchanges, this.#options.encrypt),
    );
    return await this.#plainWrites;
  }

  async #sdk(): Promise<S3SdkDriver> {
    this.#loading ??= import('./s3.ts').then(({ S3SdkDriver }) => {
      const region = () => this.#access.region();
      this.#loaded = new S3SdkDriver(this.#options, this.#agents, region, this, this.#putsAndDeletes);
      return this.#loaded;
    });
    return await this.#loading;
  }

  /**
   * Checks at the start of a process that the bucket can be used. If no region is configured, it also finds out the bucket's
   * region: S3 redirects requests sent to another region, but clients of a presigned URL get an error.
   * @throws Error that tells the operator what is wrong
   */
  async verifyBucket(): Promise<void> {
    const headers = await this.#plainReads.bucket();
    const region = headers ? headers['x-amz-bucket-region'] : await (await this.#sdk()).verifyBucket();
    if (this.#options.region === undefined && typeof region === 'string') this.#access.useRegion(region);
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    const answer = await this.#plainReads.object('HEAD', this.#at(key));
    if (answer) return answer === 'absent' ? undefined : infoOf(key, answer.headers);
    return await (await this.#sdk()).head(key);
  }

  async get(key: Key, options: { range?: ByteRange; signal?: AbortSignal } = {}): Promise<StoredObject | undefined> {
    const { range, signal } = options;
    signal?.throwIfAborted();
    if (range) assertRange(range);
    const asError = (cause: unknown) =>
      signal?.aborted ? signal.reason : new StorageUnavailableError(`reading ${key}: it broke off`, { cause });
    const download = await this.#plainReads.download(this.#at(key), range, { signal, asError });
    signal?.throwIfAborted();
    if (!download) return await (await this.#sdk()).get(key, options);
    const { headers, body } = download;
    const wholeSize = headers['content-range']?.split('/')[1] ?? headers['content-length'];
    return { info: infoOf(key, { ...headers, 'content-length': wholeSize }), body: streamOf(body) };
  }

  /** Concurrent reads of one object may share a request. Two requests if another process has written the same bytes again. */
  async read(key: Key): Promise<ReadObject | undefined> {
    return await this.#sharedReads.read(key, async () => {
      const object = await this.#readOnce(key);
      if (object) this.#md5Etags.learn(object.info.etag, object.bytes);
      return object;
    });
  }

  async #readOnce(key: Key): Promise<ReadObject | undefined> {
    const kept = this.#kept.get(key);
    let answer = await this.#plainReads.object('GET', this.#at(key), kept?.info.etag);
    if (kept && answer && answer !== 'absent' && answer.isUnchanged) {
      if (isOfKept(kept, answer.headers)) return kept;
      answer = await this.#plainReads.object('GET', this.#at(key));
    }
    if (answer === undefined || answer === 'absent') this.#kept.drop(key);
    if (answer === undefined) return await (await this.#sdk()).read(key);
    if (answer === 'absent') return undefined;
    const { headers, bytes } = answer;
    // A server may send chunks, and announce no size.
    const object = { info: infoOf(key, { ...headers, 'content-length': String(bytes.length) }), bytes };
    this.#kept.keep(key, object, headers.date);
    return object;
  }

  etagOf(bytes: Uint8Array): ETag | undefined {
    return this.#md5Etags.of(bytes);
  }

  async *list(prefix: KeyPrefix, options: { after?: Key } = {}): AsyncGenerator<ObjectInfo> {
    for await (const { objects } of this.#pages(prefix, { after: options.after })) {
      for (const object of objects) yield { ...object, key: this.#without(object.key) as Key };
    }
  }

  async *listFolders(prefix: KeyPrefix, options: { after?: string } = {}): AsyncGenerator<KeyPrefix> {
    for await (const { folders } of this.#pages(prefix, { after: options.after, delimiter: '/' })) {
      for (const folder of folders) {
        const key = this.#without(folder) as KeyPrefix;
        // S3 lists the folder `after` again, as the keys in it come after its name.
        if (options.after === undefined || compareByteOrder(key, options.after) > 0) yield key;
      }
    }
  }

  async *#pages(
    prefix: KeyPrefix,
    { after, delimiter }: { after: string | undefined; delimiter?: string },
  ): AsyncGenerator<ListPage> {
    const { keyPrefix } = this.#options;
    const first = { prefix: keyPrefix + prefix, delimiter, after: after === undefined ? undefined : keyPrefix + after };
    for (let token: string | undefined; ; ) {
      const request = { ...first, token };
      const page = (await this.#plainReads.page(request)) ?? (await (await this.#sdk()).page(prefix, request));
      yield page;
      token = page.nextToken;
      if (token !== undefined) continue;
      if (page.isTruncated) throw new StorageUnavailableError(`the server has cut the listing of ${prefix}`);
      return;
    }
  }

  /** No request. The method is part of the signature, so a URL for GET is not valid for HEAD. */
  async presign(method: 'GET' | 'HEAD', key: Key, options: PresignOptions): Promise<URL> {
    return await this.#plainReads.presign(method, this.#at(key), options);
  }

  /** AWS honors them. */
  async honorsDeleteConditions(): Promise<boolean> {
    return this.#options.endpoint === undefined || (await (await this.#sdk()).honorsDeleteConditions());
  }

  async findLimitations(): Promise<string[]> {
    return this.#options.endpoint === undefined ? [] : await (await this.#sdk()).findLimitations();
  }

  async put(key: Key, body: Uint8Array, options: PutOptions = {}): Promise<ETag | undefined> {
    this.#kept.drop(key);
    // Where locks cost a message to another process, they are left out if conditions make them unnecessary.
    const needsNoLock =
      this.#options.endpoint === undefined || (this.#hasSharedLocks && (await this.honorsDeleteConditions()));
    const put = () => this.#put(key, body, options);
    const etag = needsNoLock ? await put() : await this.#putsAndDeletes.shared(key, put);
    if (etag !== undefined) this.#md5Etags.learn(etag, body);
    return etag;
  }

  async #put(key: Key, body: Uint8Array, options: PutOptions): Promise<ETag | undefined> {
    if (body.length > SMALL_BYTES) return await (await this.#sdk()).put(key, body, options);
    const plain = await (await this.#writes()).put(this.#at(key), body, options);
    if (plain.kind === 'done') return plain.etag;
    if (plain.kind === 'condition failed') return undefined;
    const earlier = plain.kind === 'refused' ? plain.refusal : plain.kind;
    return await (await this.#sdk()).put(key, body, options, earlier);
  }

  async putStream(key: Key, body: AsyncIterable<Uint8Array>, options?: PutStreamOptions): Promise<ETag | undefined> {
    return await (await this.#sdk()).putStream(key, body, options);
  }

  async copyIfAbsent(from: Key, to: Key): Promise<boolean> {
    return await (await this.#sdk()).copyIfAbsent(from, to);
  }

  async delete(key: Key, options?: DeleteOptions): Promise<boolean> {
    this.#kept.drop(key);
    return await (await this.#sdk()).delete(key, options);
  }

  async deleteIf(key: Key, isWanted: (object: ReadObject) => boolean): Promise<Deletion> {
    return await (await this.#sdk()).deleteIf(key, isWanted);
  }

  async deleteMany(keys: readonly Key[]): Promise<void> {
    for (const key of keys) this.#kept.drop(key);
    await (await this.#sdk()).deleteMany(keys);
  }

  async createMultipart(key: Key): Promise<MultipartUpload> {
    return await (await this.#sdk()).createMultipart(key);
  }

  async uploadPart(upload: MultipartUpload, partNumber: number, body: Uint8Array): Promise<UploadedPart | undefined> {
    return await (await this.#sdk()).uploadPart(upload, partNumber, body);
  }

  async listParts(upload: MultipartUpload): Promise<UploadedPart[] | undefined> {
    return await (await this.#sdk()).listParts(upload);
  }

  async completeMultipart(upload: MultipartUpload, parts: readonly UploadedPart[]): Promise<boolean> {
    return await (await this.#sdk()).completeMultipart(upload, parts);
  }

  async abortMultipart(upload: MultipartUpload): Promise<void> {
    await (await this.#sdk()).abortMultipart(upload);
  }

  /** Nothing was refused before the SDK was loaded, which handles all refusals. */
  async checkRoom(): Promise<void> {
    await this.#loaded?.checkRoom();
  }

  async close(): Promise<void> {
    await (await this.#loading?.catch(() => undefined))?.close();
    this.#plainReads.close();
    this.#exchanges.close();
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #at(key: Key): string {
    return this.#options.keyPrefix + key;
  }

  #without(fullKey: string): string {
    return fullKey.slice(this.#options.keyPrefix.length);
  }
}
