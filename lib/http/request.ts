// Reading requests, for the routes of both protocols.
import type { Context, Hono } from 'hono';
import type { RequestMemory } from '../limits/body-memory.ts';
import type { Slot } from '../limits/slot.ts';
import { receiving } from '../limits/transfers.ts';
import { RegistryError } from '../model/errors.ts';
import { type Bytes, readAtMost, tooLarge } from '../streams/bytes.ts';
import type { HashBlocks } from '../streams/hash-blocks.ts';
import { NOWHERE } from './path-limit.ts';
import type { RequestOrigin } from './request-origin.ts';
import { routePath } from './route-path.ts';

const NO_BODY = new Uint8Array();

const UPLOAD_SLOT = 'uploadSlot';

/** The request's body; empty if there is none. Stopping early does not close the client's connection. */
export function bodyOf(c: Context): AsyncIterable<Uint8Array> {
  const body = c.req.raw.body ?? new Blob([NO_BODY]).stream();
  const chunks = body.values({ preventCancel: true });
  const slot = c.get(UPLOAD_SLOT) as Slot | undefined;
  return slot ? receiving(chunks, slot) : chunks;
}

/**
 * Aborts when the client goes away, with an Error as its reason. Node's server and callers of `fetch` give the request's own
 * signal a reason of any type, and Hono passes only an Error to `onError`; for others it skips the audit and the log too.
 */
export function clientSignalOf(c: Context): AbortSignal {
  const { signal } = c.req.raw;
  const client = new AbortController();
  const abort = () => client.abort(asError(signal.reason));
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return client.signal;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason });
}

/** What a server knows about the bodies of its requests. */
export type BodyBindings = {
  /**
   * Reads the body in large blocks, instead of the web stream of the request.
   * @param onBytes is called with the number of bytes of each chunk that arrives
   */
  readBlocks?: (onBytes: (sizeBytes: number) => void) => Blocks;
};

export type Blocks = {
  bytes: AsyncIterable<Uint8Array>;
  /** Takes back a block whose bytes are no longer needed, to use its memory again. */
  giveBack?: (block: Uint8Array) => void;
  /** Hashes the blocks beside this thread. Default: `hashHere`. */
  hashBlocks?: HashBlocks;
};

/** As `bodyOf`, in blocks where the server can, for bodies of any size. */
export function blocksOf(c: Context): Blocks {
  const { readBlocks } = (c.env ?? {}) as BodyBindings;
  if (!readBlocks) return { bytes: bodyOf(c) };
  const slot = c.get(UPLOAD_SLOT) as Slot | undefined;
  const { bytes, ...blocks } = readBlocks((sizeBytes) => slot?.moved(sizeBytes));
  return { ...blocks, bytes: slot ? receiving(bytes, slot, { countsBytes: false }) : bytes };
}

const MEMORY = 'memory';

/** Counts in `memory` what `readBody` reads of this request. */
export function holdMemory(c: Context, memory: RequestMemory): void {
  c.set(MEMORY, memory);
}

/**
 * Reads the request's body into memory.
 * @throws RegistryError SIZE_INVALID if it has more than `maxBytes`; TOOMANYREQUESTS, UNAVAILABLE if there is no memory for it
 */
export async function readBody(c: Context, maxBytes: number, what: string): Promise<Bytes> {
  if ((contentLengthOf(c) ?? 0) > maxBytes) throw tooLarge(maxBytes, what);
  const memory = c.get(MEMORY) as RequestMemory | undefined;
  return memory ? await memory.read(bodyOf(c), maxBytes, what) : await readAtMost(bodyOf(c), maxBytes, what);
}

/** Ties the body of this request to an upload slot: the body reports its progress, and ends when the slot is taken away. */
export function holdUploadSlot(c: Context, slot: Slot): void {
  c.set(UPLOAD_SLOT, slot);
}

/** Headers of an answer without a body that is neither 204 nor 304: without them Node sends an empty chunked body. */
export const EMPTY = { 'Content-Length': '0' };

/** The origin of a request, found by the server or gateway that passes it on. */
export type OriginBindings = { reached?: () => RequestOrigin | undefined };

/** The origin by which this client reaches the registry; undefined without a valid `Host`. */
export function reachedAt(c: Context): RequestOrigin | undefined {
  const { reached } = (c.env ?? {}) as OriginBindings;
  return reached?.();
}

/** As `reachedAt`, for URLs in the answer. */
export function originOf(c: Context): string | undefined {
  return reachedAt(c)?.origin;
}

/** `Content-Length` in bytes, if the client sent one. */
export function contentLengthOf(c: Context): number | undefined {
  const header = c.req.header('Content-Length');
  return header === undefined ? undefined : Number(header);
}

/** Whether bytes follow the headers. https://www.rfc-editor.org/rfc/rfc9112#section-6.3 */
export function hasBody(c: Context): boolean {
  return c.req.header('Transfer-Encoding') !== undefined || (contentLengthOf(c) ?? 0) > 0;
}

/**
 * Whether the client has this content, by `If-None-Match`.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export function isKnown(c: Context, etag: string): boolean {
  const known = c.req.header('If-None-Match')?.split(',') ?? [];
  return known.some((item) => ['*', etag, `W/${etag}`].includes(item.trim()));
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** `Allow` of an answer to `OPTIONS`. @param methods without HEAD, which is allowed with GET */
export function allowHeader(methods: readonly string[] = METHODS): string {
  return [...methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'].join(', ');
}

/**
 * Answers requests that no route takes: `OPTIONS` by the methods that the path takes, others by 405 if the path takes another
 * method, else by 404. Added after all routes.
 * @param prefix path at which the app is mounted
 */
export function refuseTheRest(routes: Hono, prefix: string): Hono {
  const matching = (method: string, path: string) => routes.router.match(method, path)[0].length;
  const takes = (method: string, path: string) =>
    matching(method, routePath(method, path).slice(prefix.length)) > matching(method, NOWHERE);
  return routes.all('*', (c) => {
    const { method, path } = c.req;
    const allowed = METHODS.filter((other) => takes(other, path));
    if (allowed.length === 0) return noSuchEndpoint(c);
    if (method === 'OPTIONS') return c.body(null, 204, { Allow: allowHeader(allowed) });
    throw new RegistryError('UNSUPPORTED', `${path} does not take ${method}`, {
      headers: { Allow: allowed.join(', ') },
    });
  });
}

export function noSuchEndpoint(c: Context): never {
  throw new RegistryError('NAME_UNKNOWN', `there is no ${c.req.path}`);
}
