// Whole responses in memory, read from bytes that arrive in pieces of any size. A connection serves another request only if it is
// certain where the response ends, so what is unusual is an error: the caller sends the request again by another client.
// https://www.rfc-editor.org/rfc/rfc9112#section-6
import { type Bytes, concatBytes, KiB, MiB } from '../streams/bytes.ts';
import { contentLengthOf, HEAD_END, type Head, isKeptOpen, MAX_HEAD_BYTES, parseHead } from './http-head.ts';

const MAX_BODY_BYTES = 64 * MiB;

export type HttpAnswer = Head & { bytes: Bytes; isKeptOpen: boolean };

type Body = {
  /** Takes the bytes of the body. @returns whether it is whole. @throws Error also if there are more */
  add(arrived: Buffer): boolean;
  readonly bytes: Bytes;
};

/** Reads one response. The bytes that it is given may be overwritten afterwards. */
export class AnswerReader {
  readonly #isHead: boolean;
  #headBytes: Buffer | undefined;
  #head: Head | undefined;
  #body: Body | undefined;

  /** @param isHead the response is that to HEAD, which has no body */
  constructor(isHead: boolean) {
    this.#isHead = isHead;
  }

  /**
   * @returns the response once all of it has arrived
   * @throws Error if the response is not understood, or more arrives than belongs to it
   */
  add(arrived: Buffer): HttpAnswer | undefined {
    const rest = this.#body ? arrived : this.#addToHead(arrived);
    if (!rest || !this.#head || !this.#body?.add(rest)) return undefined;
    return { ...this.#head, bytes: this.#body.bytes, isKeptOpen: isKeptOpen(this.#head) };
  }

  /** @returns what follows the head, once all of the head has arrived */
  #addToHead(arrived: Buffer): Buffer | undefined {
    const bytes = this.#headBytes ? Buffer.concat([this.#headBytes, arrived]) : arrived;
    const end = bytes.indexOf(HEAD_END);
    if (end > MAX_HEAD_BYTES || (end < 0 && bytes.length > MAX_HEAD_BYTES)) throw new Error('the head is too long');
    if (end < 0) {
      this.#headBytes = Buffer.from(bytes);
      return undefined;
    }
    const head = parseHead(bytes.toString('latin1', 0, end));
    if (!head) throw new Error('this response is not understood');
    this.#head = head;
    this.#body = bodyOf(head, this.#isHead);
    return bytes.subarray(end + HEAD_END.length);
  }
}

function bodyOf(head: Head, isHead: boolean): Body {
  const { status, headers } = head;
  const { 'transfer-encoding': encoding, 'content-length': length } = headers;
  const sizeBytes = contentLengthOf(head);
  if (status < 200) throw new Error('this is not the last response to the request');
  if (length !== undefined && (sizeBytes === undefined || encoding !== undefined))
    throw new Error('it is not certain how long the body is');
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    throw new Error('this encoding is not understood');
  if (status === 204 && (encoding !== undefined || (sizeBytes ?? 0) > 0)) throw new Error('this response has no body');
  if (isHead || status === 204 || status === 304) return new SizedBody(0);
  if (encoding !== undefined) return new ChunkedBody();
  if (sizeBytes === undefined || sizeBytes > MAX_BODY_BYTES)
    throw new Error('the body is too long, or of unknown length');
  return new SizedBody(sizeBytes);
}

class SizedBody implements Body {
  readonly bytes: Bytes;
  #arrivedBytes = 0;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
  }

  add(arrived: Buffer): boolean {
    if (this.#arrivedBytes + arrived.length > this.bytes.length) throw new Error('the body is longer than announced');
    this.bytes.set(arrived, this.#arrivedBytes);
    this.#arrivedBytes += arrived.length;
    return this.#arrivedBytes === this.bytes.length;
  }
}

/** Without extensions of chunks, and without trailers. https://www.rfc-editor.org/rfc/rfc9112#section-7.1 */
class ChunkedBody implements Body {
  readonly #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #line = '';
  /** Of the chunk whose data arrive now; with the line end that follows them, `undefined` while a line with a size is expected. */
  #leftBytes: number | undefined;
  #isLast = false;

  add(arrived: Buffer): boolean {
    for (let rest = arrived; rest.length > 0; ) {
      rest = this.#leftBytes === undefined ? this.#addToLine(rest) : this.#addToChunk(rest, this.#leftBytes);
      if (!this.#isLast || this.#leftBytes !== undefined) continue;
      if (rest.length > 0) throw new Error('more has arrived than the body');
      return true;
    }
    return false;
  }

  get bytes(): Bytes {
    return concatBytes(this.#chunks);
  }

  #addToLine(arrived: Buffer): Buffer {
    const end = arrived.indexOf('\n');
    this.#line += arrived.toString('latin1', 0, end < 0 ? arrived.length : end + 1);
    if (this.#line.length > KiB) throw new Error('the size of a chunk is too long');
    if (end < 0) return arrived.subarray(arrived.length);
    const size = /^([0-9a-f]{1,8})\r\n$/i.exec(this.#line)?.[1];
    if (size === undefined) throw new Error('the size of a chunk is not understood');
    this.#line = '';
    this.#leftBytes = Number.parseInt(size, 16) + 2;
    this.#isLast = this.#leftBytes === 2;
    this.#sizeBytes += this.#leftBytes - 2;
    if (this.#sizeBytes > MAX_BODY_BYTES) throw new Error('the body is too long');
    return arrived.subarray(end + 1);
  }

  #addToChunk(arrived: Buffer, leftBytes: number): Buffer {
    const data = arrived.subarray(0, Math.max(0, leftBytes - 2));
    if (data.length > 0) this.#chunks.push(Buffer.from(data));
    let left = leftBytes - data.length;
    let used = data.length;
    for (; used < arrived.length && left > 0 && left <= 2; used++, left--) {
      if (arrived[used] !== (left === 2 ? CR : LF))
        throw new Error('a chunk is longer than announced, or trailers follow');
    }
    this.#leftBytes = left > 0 ? left : undefined;
    return arrived.subarray(used);
  }
}

const CR = 0x0d;
const LF = 0x0a;
