// PutObject with bodies that are in memory, without the SDK: tags, links, manifests, records, small blobs. Each takes a fifth of the CPU time
// that it takes in the SDK, and a Lambda function does not load the SDK for them.
//
// This module handles success, failed conditions and final refusals. After anything else the caller sends the request again by the SDK, and
// takes into account that it may have been executed.
import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeText } from '../streams/bytes.ts';
import { AwsSigner } from './aws-signature.ts';
import { checkLook, type ETag, type PutOptions } from './driver.ts';
import type { HttpAnswer } from './http-answer.ts';
import type { HttpExchanges } from './http-exchanges.ts';
import type { S3Access } from './s3-access.ts';
import type { Refusal } from './s3-errors.ts';
import { encodeKey, signingAt } from './s3-requests.ts';
import { signingDelayMs } from './s3-signing-date.ts';

/** How long the server may send nothing. The SDK has the same limit. */
const IDLE_TIMEOUT_MILLISECONDS = 60_000;

export type PlainPut =
  | { kind: 'done'; etag: ETag }
  | { kind: 'condition failed' }
  | { kind: 'refused'; refusal: Refusal }
  /** The request may have been executed. */
  | { kind: 'unanswered' };

/** As the SDK before its first repetition: at most so long after the server has said that there are too many requests. */
const THROTTLED_PAUSE_MILLISECONDS = 500;
const THROTTLED_STATUS = 429;
const THROTTLED_CODES = new Set([
  'RequestLimitExceeded',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
]);

/**
 * Refusals after which the SDK sends a request again: it takes over the server's clock, finds the region of the bucket, renews credentials, or
 * waits. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
const PASSING_CODES = new Set([
  'AuthFailure',
  'AuthorizationHeaderMalformed',
  'ExpiredToken',
  'IllegalLocationConstraintException',
  'InvalidSignatureException',
  'InvalidToken',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeout',
  'RequestTimeoutException',
  'SignatureDoesNotMatch',
  ...THROTTLED_CODES,
]);
const PASSING_STATUSES = new Set([408, THROTTLED_STATUS]);
const SKEWED = 'RequestTimeTooSkewed';

export class PlainWrites {
  readonly #access: S3Access;
  readonly #exchanges: HttpExchanges;
  readonly #encrypt: boolean;
  readonly #signer = new AwsSigner('s3');

  /** @param encrypt as the option of `S3DriverOptions` */
  constructor(access: S3Access, exchanges: HttpExchanges, encrypt = false) {
    this.#access = access;
    this.#exchanges = exchanges;
    this.#encrypt = encrypt;
  }

  /**
   * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
   * @param key with the key prefix of the storage
   * @param body of up to `SMALL_BYTES`
   * @throws StorageUnavailableError if the look has expired
   */
  async put(key: string, body: Uint8Array, options: PutOptions): Promise<PlainPut> {
    checkLook(options.look);
    try {
      const answer = await this.#send(key, body, options);
      if (isThrottled(answer)) await sleep(Math.random() * THROTTLED_PAUSE_MILLISECONDS);
      return understand(answer, options);
    } catch {
      return { kind: 'unanswered' };
    }
  }

  async #send(key: string, body: Uint8Array, options: PutOptions): Promise<HttpAnswer> {
    const { contentType = 'application/octet-stream', ifAbsent, ifMatch, sha256, look } = options;
    const place = await this.#access.place();
    const path = place.base.pathname + encodeKey(key);
    const unsigned = {
      method: 'PUT',
      host: place.base.host,
      path,
      headers: {
        'content-length': String(body.length),
        'content-type': contentType,
        'if-match': ifMatch,
        'if-none-match': ifAbsent ? '*' : undefined,
        'x-amz-checksum-sha256': sha256 && Buffer.from(sha256, 'hex').toString('base64'),
        'x-amz-server-side-encryption': this.#encrypt ? 'AES256' : undefined,
      },
    };
    const signing = signingAt(place);
    if (look) signing.timeMs += signingDelayMs(look);
    const headers = this.#signer.headersOf(unsigned, sha256 ?? hash('sha256', body), signing);
    const idleMs = IDLE_TIMEOUT_MILLISECONDS;
    return await this.#exchanges.send({ method: 'PUT', origin: place.base, path, headers, body, idleMs });
  }
}

function understand({ status, headers, bytes }: HttpAnswer, { ifAbsent, ifMatch, look }: PutOptions): PlainPut {
  if (status === 200 && headers.etag !== undefined) return { kind: 'done', etag: headers.etag as ETag };
  const xml = decodeText(bytes);
  const code = codeOf(xml);
  // `If-Match` on a missing object gives a 404.
  const isFailed =
    (status === 412 && (ifAbsent || ifMatch !== undefined)) || (code === 'NoSuchKey' && ifMatch !== undefined);
  if (isFailed) return { kind: 'condition failed' };
  if (status < 400 || status > 499 || code === undefined) return { kind: 'unanswered' };
  // A request with a look is not valid for longer if it is sent again. Of any other, the clock of this machine may be wrong.
  const mayPass = PASSING_STATUSES.has(status) || PASSING_CODES.has(code) || (code === SKEWED && !look);
  if (mayPass) return { kind: 'unanswered' };
  return { kind: 'refused', refusal: { status, code, message: /<Message>([^<]*)</.exec(xml)?.[1] ?? '' } };
}

function isThrottled({ status, bytes }: HttpAnswer): boolean {
  return status === THROTTLED_STATUS || (status >= 400 && THROTTLED_CODES.has(codeOf(decodeText(bytes)) ?? ''));
}

function codeOf(xml: string): string | undefined {
  return /<Code>([^<]+)<\/Code>/.exec(xml)?.[1];
}
