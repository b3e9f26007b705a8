import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../lib/streams/bytes.ts';
import { digestOf, withDigest } from '../v2/client.ts';
import type { Content } from './content.ts';
import { type Answer, exchange, locationOf, Refusal, type Send } from './exchange.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';

/** The ways in which clients send a blob. */
export const BLOB_ROUTES = ['put', 'post', 'stream', 'patch', 'chunks', 'chunks and put'] as const;
export type BlobRoute = (typeof BLOB_ROUTES)[number];

/** How a body that is sent as a stream comes: in such pieces, with such pauses. */
const PIECE_BYTES = 256 * 1024;
const PAUSE_MS = 2;

/** A chunked upload that goes on where the last answer left it. */
type Session = { location: string; sentBytes: number; isFresh: boolean };

/** The push of one blob, which can be run again after it broke off. */
export class BlobPush {
  readonly repository: string;
  readonly content: Content;
  readonly digest: string;
  readonly route: BlobRoute;
  readonly #chunkBytes: number;
  #session: Session | undefined;
  #isDone = false;

  constructor(random: Random, repository: string, content: Content, route: BlobRoute) {
    this.repository = repository;
    this.content = content;
    this.digest = digestOf(content.bytes);
    this.route = route;
    // Smaller than a part of a multipart upload, as large, and larger.
    this.#chunkBytes = Math.max(1, Math.min(random.pick([3, 5, 12, 14]) * MiB, Math.ceil(content.bytes.length / 2)));
  }

  get descriptor(): { mediaType: string; digest: string; size: number } {
    const { mediaType, bytes } = this.content;
    return { mediaType, digest: this.digest, size: bytes.length };
  }

  /** @throws Refusal, or what `send` throws; then it may be run again */
  async run(send: Send, ledger: Ledger): Promise<void> {
    if (this.#isDone) return;
    await this.#byRoute(send);
    this.#isDone = true;
    ledger.blob(this.repository, this.digest);
  }

  async #byRoute(send: Send): Promise<void> {
    const { bytes } = this.content;
    switch (this.route) {
      case 'put':
        await exchange(send, [201], 'PUT', withDigest(await this.#start(send), this.digest), { body: bytes });
        return;
      case 'post':
        await exchange(send, [201], 'POST', withDigest(this.#uploads, this.digest), { body: bytes });
        return;
      case 'stream':
        await exchange(send, [201], 'PUT', withDigest(await this.#start(send), this.digest), { body: slowly(bytes) });
        return;
      case 'patch': {
        const patched = await exchange(send, [202], 'PATCH', await this.#start(send), { body: slowly(bytes) });
        await exchange(send, [201], 'PUT', withDigest(locationOf(patched), this.digest));
        return;
      }
      default:
        await this.#sendChunks(send);
    }
  }

  get #uploads(): string {
    return `/v2/${this.repository}/blobs/uploads/`;
  }

  async #start(send: Send): Promise<string> {
    return locationOf(await exchange(send, [202], 'POST', this.#uploads));
  }

  async #sendChunks(send: Send): Promise<void> {
    const resumed = await this.#resumed(send);
    try {
      await this.#sendRest(send, resumed ?? { location: await this.#start(send), sentBytes: 0, isFresh: true });
    } catch (error) {
      // The interrupted commit may have used up the parts or not.
      if (!resumed || !(error instanceof Refusal) || error.answer.status !== 404) throw error;
      await this.#sendRest(send, { location: await this.#start(send), sentBytes: 0, isFresh: true });
    }
  }

  async #sendRest(send: Send, session: Session): Promise<void> {
    this.#session = session;
    const { bytes } = this.content;
    while (session.sentBytes < bytes.length) {
      const end = Math.min(session.sentBytes + this.#chunkBytes, bytes.length);
      if (this.route === 'chunks and put' && end === bytes.length) break;
      const answer = await exchange(send, [202], 'PATCH', session.location, this.#chunk(session.sentBytes, end));
      session.location = locationOf(answer);
      session.sentBytes = end;
      session.isFresh = false;
    }
    const { location, sentBytes } = session;
    const rest = sentBytes < bytes.length ? this.#chunk(sentBytes, bytes.length) : {};
    await exchange(send, [201], 'PUT', withDigest(location, this.digest), rest);
  }

  #chunk(start: number, end: number): RequestInit {
    return { body: this.content.bytes.subarray(start, end), headers: { 'Content-Range': `${start}-${end - 1}` } };
  }

  /** The session of a run that broke off, if the registry still takes it. */
  async #resumed(send: Send): Promise<Session | undefined> {
    const session = this.#session;
    this.#session = undefined; // if this does not work either, the next run begins anew
    if (!session || session.isFresh) return undefined;
    const answer = await exchange(send, [204, 404], 'GET', session.location);
    return answer.status === 204 && receivedBytes(answer) === session.sentBytes ? session : undefined;
  }
}

function receivedBytes({ headers }: Answer): number {
  return Number(/^0-(\d+)$/.exec(headers.get('Range') ?? '')?.[1]) + 1;
}

/** A slow body without Content-Length. */
function slowly(bytes: Uint8Array): ReadableStream<Uint8Array> {
  async function* pieces() {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      yield bytes.subarray(start, start + PIECE_BYTES);
      await sleep(PAUSE_MS);
    }
  }
  return ReadableStream.from(pieces());
}
