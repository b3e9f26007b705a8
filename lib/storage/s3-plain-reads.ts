// HEAD and GET of whole objects, and pages of listings, without the SDK. Nearly every request to the registry sends one of them. Each
// takes a sixth of the CPU time that it takes in the SDK, which a Lambda function would have to load first.
//
// This module handles three responses: the object, that it has not changed, and no such object. After anything else the caller sends the request again
// by the SDK, which handles retries, clock skew, buckets in other regions and errors.
import { type Bytes, decodeText } from '../streams/bytes.ts';
import { AwsSigner, queryStringOf } from './aws-signature.ts';
import type { ByteRange, ETag, PresignOptions } from './driver.ts';
import type { HttpAnswer } from './http-answer.ts';
import { type Download, type DownloadOptions, HttpDownloads } from './http-downloads.ts';
import type { HttpExchanges } from './http-exchanges.ts';
import type { Place, S3Access } from './s3-access.ts';
import { type ListPage, type ListRequest, listQueryOf, parseListPage } from './s3-list-page.ts';
import { encodeKey, signingAt } from './s3-requests.ts';

/** How long a server may not take a connection, or send nothing. After that the SDK sends the request. */
const IDLE_TIMEOUT_MILLISECONDS = 5000;
/** A server may have to look at many objects for a page. */
const PAGE_TIMEOUT_MILLISECONDS = 60_000;

/** These requests have no body. */
const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

type Headers = Readonly<Record<string, string>>;

/** `isUnchanged`: the object has the ETag that the caller knows, and its bytes are not sent. */
export type PlainAnswer = { headers: Headers; bytes: Bytes; isUnchanged: boolean } | 'absent';

type PlainRequest = {
  method: 'GET' | 'HEAD';
  /** Percent-encoded. */
  path: string;
  knownEtag?: ETag | undefined;
  query?: Record<string, string>;
  timeoutMs?: number;
};

export class PlainReads {
  readonly #access: S3Access;
  readonly #exchanges: HttpExchanges;
  readonly #downloads = new HttpDownloads();
  readonly #signer = new AwsSigner('s3');

  constructor(access: S3Access, exchanges: HttpExchanges) {
    this.#access = access;
    this.#exchanges = exchanges;
  }

  /**
   * An object, or with HEAD its headers.
   * @param key with the key prefix of the storage
   * @param knownEtag of an object whose bytes the caller has
   * @returns `undefined` if the SDK has to send the request
   */
  async object(method: 'GET' | 'HEAD', key: string, knownEtag?: ETag): Promise<PlainAnswer | undefined> {
    return await this.#send(({ base }) => ({ method, path: base.pathname + encodeKey(key), knownEtag }));
  }

  /**
   * An object whose bytes the caller reads at its own pace.
   * @returns `undefined` if the SDK has to send the request
   */
  async download(key: string, range: ByteRange | undefined, options: DownloadOptions): Promise<Download | undefined> {
    try {
      const place = await this.#access.place();
      const path = place.base.pathname + encodeKey(key);
      const headers = this.#headersOf({ method: 'GET', path }, place);
      const ranged = range && { Range: `bytes=${range.start}-${range.end}` };
      const request = { origin: place.base, path, headers: { ...headers, ...ranged } };
      const download = await this.#downloads.get(request, options);
      if (!download || isOfRange(download, range)) return download;
      await download.body.close();
    } catch {
      // The SDK's error says more.
    }
    return undefined;
  }

  /** Closes the connections that no download uses. */
  close(): void {
    this.#downloads.close();
  }

  /** The headers of the bucket. @returns `undefined` if the SDK has to send the request */
  async bucket(): Promise<Headers | undefined> {
    const answer = await this.#send(({ base }) => ({ method: 'HEAD', path: bucketPathOf(base) }));
    return answer === 'absent' ? undefined : answer?.headers;
  }

  /** A page of a listing. @returns `undefined` if the SDK has to send the request */
  async page(request: ListRequest): Promise<ListPage | undefined> {
    const query = listQueryOf(request);
    const timeoutMs = PAGE_TIMEOUT_MILLISECONDS;
    const answer = await this.#send(({ base }) => ({
      method: 'GET',
      path: bucketPathOf(base),
      query,
      timeoutMs,
    }));
    return answer === undefined || answer === 'absent' ? undefined : parseListPage(decodeText(answer.bytes));
  }

  /**
   * A URL by which a client reads the object.
   * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
   */
  async presign(method: 'GET' | 'HEAD', key: string, { expiresSeconds, contentType }: PresignOptions): Promise<URL> {
    const place = await this.#access.place();
    const { host, origin, pathname } = place.base;
    const path = pathname + encodeKey(key);
    const query = contentType !== undefined && method === 'GET' ? { 'response-content-type': contentType } : undefined;
    const request = { method, host, path, ...(query && { query }) };
    return new URL(`${origin}${path}?${this.#signer.presignedQuery(request, expiresSeconds, signingAt(place))}`);
  }

  async #send(requestAt: (place: Place) => PlainRequest): Promise<PlainAnswer | undefined> {
    try {
      const place = await this.#access.place();
      const request = requestAt(place);
      const { method, query, timeoutMs: idleMs = IDLE_TIMEOUT_MILLISECONDS } = request;
      const path = query ? `${request.path}?${queryStringOf(query)}` : request.path;
      const headers = this.#headersOf(request, place);
      return understand(request, await this.#exchanges.send({ method, origin: place.base, path, headers, idleMs }));
    } catch {
      return undefined;
    }
  }

  #headersOf(request: PlainRequest, place: Place): Record<string, string> {
    const { method, path, query, knownEtag } = request;
    const headers = knownEtag === undefined ? {} : { 'if-none-match': knownEtag };
    const unsigned = { method, path, host: place.base.host, headers, ...(query && { query }) };
    return this.#signer.headersOf(unsigned, SHA256_OF_NOTHING, signingAt(place));
  }
}

/** Whether the body is that of the whole object, or of this range of it. */
function isOfRange({ status, headers }: Download, range: ByteRange | undefined): boolean {
  if (!range) return status === 200;
  return status === 206 && headers['content-range']?.startsWith(`bytes ${range.start}-`) === true;
}

function understand({ method, knownEtag }: PlainRequest, answer: HttpAnswer): PlainAnswer | undefined {
  const { status, headers, bytes } = answer;
  if (status === 200) return { headers, bytes, isUnchanged: false };
  if (status === 304 && knownEtag !== undefined) return { headers, bytes, isUnchanged: true };
  // A 404 may also mean that there is no bucket. The response to HEAD cannot tell the two apart.
  const isAbsent = status === 404 && (method === 'HEAD' || decodeText(bytes).includes('<Code>NoSuchKey</Code>'));
  return isAbsent ? 'absent' : undefined;
}

/** With the bucket in the path: `/bucket`. */
function bucketPathOf(base: URL): string {
  return base.pathname.slice(0, -1) || '/';
}
