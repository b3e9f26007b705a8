// On S3 the ETag of an object written by one PUT is the MD5 of its bytes, so that a listing tells which bytes a small object has.
// With SSE-KMS, and on some other servers, it is not. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
import { hash } from 'node:crypto';
import type { ETag } from './driver.ts';

/** Larger objects are not hashed to find out what the server's ETags are. */
const MAX_SAMPLE_BYTES = 64 * 1024;

/** After this many objects whose ETag was not their MD5, and none whose was, the server's ETags count as something else. */
const MAX_SAMPLES = 8;

/** Finds out whether a bucket's ETags are MD5s, from objects that are written, or read in full, anyway. */
export class Md5Etags {
  #isKnown = false;
  #otherSamples = 0;

  /** To be called with an object that was written by one PUT, or read in full. */
  learn(etag: ETag, bytes: Uint8Array): void {
    if (this.#isKnown || this.#otherSamples >= MAX_SAMPLES || bytes.length > MAX_SAMPLE_BYTES) return;
    if (etag === md5Of(bytes)) this.#isKnown = true;
    else this.#otherSamples++;
  }

  /** The ETag of an object with these bytes; `undefined` unless this server's ETags are known to be MD5s. */
  of(bytes: Uint8Array): ETag | undefined {
    return this.#isKnown ? md5Of(bytes) : undefined;
  }
}

function md5Of(bytes: Uint8Array): ETag {
  return `"${hash('md5', bytes, 'hex')}"` as ETag;
}
