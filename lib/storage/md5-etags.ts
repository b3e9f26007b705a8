// On S3 the ETag of an object that one PUT wrote is the MD5 of its bytes, so that a listing tells what small objects hold.
// Under SSE-KMS and on some other servers it is not. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
import { hash } from 'node:crypto';
import type { ETag } from './driver.ts';

/** Larger objects are not hashed to learn what the server does. */
const MAX_SAMPLE_BYTES = 64 * 1024;

/** After so many samples whose ETag was no MD5, and none whose was, the server counts as one that has others. */
const MAX_SAMPLES = 8;

/** What a bucket's ETags are, learned from objects that were read in full: never assumed. */
export class Md5Etags {
  #isKnown = false;
  #otherSamples = 0;

  /** An object was read in full. */
  learn(etag: ETag, bytes: Uint8Array): void {
    if (this.#isKnown || this.#otherSamples >= MAX_SAMPLES || bytes.length > MAX_SAMPLE_BYTES) return;
    if (etag === md5Of(bytes)) this.#isKnown = true;
    else this.#otherSamples++;
  }

  /** The ETag of an object that holds these bytes; `undefined` unless it is known that this server's ETags are MD5s. */
  of(bytes: Uint8Array): ETag | undefined {
    return this.#isKnown ? md5Of(bytes) : undefined;
  }
}

function md5Of(bytes: Uint8Array): ETag {
  return `"${hash('md5', bytes, 'hex')}"` as ETag;
}
