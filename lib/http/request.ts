// What the routes of both protocols need of a request.
import type { Context, Hono } from 'hono';
import type { RequestMemory } from '../limits/body-memory.ts';
import type { Slot } from '../limits/slot.ts';
import { receiving } from '../limits/transfers.ts';
import { RegistryError } from '../model/errors.ts';
import { type Bytes, readAtMost, tooLarge } from '../streams/bytes.ts';
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

const MEMORY = 'memory';

/** What this request reads into memory from now on is counted there. */
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

/** From now on the body of this request reports its progress to the slot, and ends with it. */
export function holdUploadSlot(c: Context, slot: Slot): void {
  c.set(UPLOAD_SLOT, slot);
}

/** Of an answer without a body that is not 204 or 304: Node would say that there are chunks, and send none. */
export const EMPTY = { 'Content-Length': '0' };

/** What a server or gateway that hands on a request knows of where the client sent it. */
export type OriginBindings = { reached?: RequestOrigin | undefined };

/** Where this client reaches the registry, as far as its request tells. */
export function reachedAt(c: Context): RequestOrigin | undefined {
  const { reached } = (c.env ?? {}) as OriginBindings;
  return reached;
}

/** The origin under which this client reaches the registry, for URLs that it gets back. */
export function originOf(c: Context): string | undefined {
  return reachedAt(c)?.origin;
}

/** `Content-Length` as a number, if the client sent one. */
export function contentLengthOf(c: Context): number | undefined {
  const header = c.req.header('Content-Length');
  return header === undefined ? undefined : Number(header);
}

/** Whether bytes follow the headers. https://www.rfc-editor.org/rfc/rfc9112#section-6.3 */
export function hasBody(c: Context): boolean {
  return c.req.header('Transfer-Encoding') !== undefined || (contentLengthOf(c) ?? 0) > 0;
}

/**
 * Whether the client has this content already.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export function isKnown(c: Context, etag: string): boolean {
  const known = c.req.header('If-None-Match')?.split(',') ?? [];
  return known.some((item) => ['*', etag, `W/${etag}`].includes(item.trim()));
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** What an answer to `OPTIONS` says; HEAD is taken wherever GET is. @param methods without HEAD */
export function allowHeader(methods: readonly string[] = METHODS): string {
  return [...methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'].join(', ');
}

/**
 * Answers what none of an app's routes took: `OPTIONS` by the methods that would be taken; else 405 if another method would
 * have been right, or 404. To be added last.
 * @param prefix where the app is mounted
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
