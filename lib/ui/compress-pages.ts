import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context, MiddlewareHandler } from 'hono';
import { KiB } from '../streams/bytes.ts';
import type { Sessions } from './session/sessions.ts';

const compress = promisify(gzip);

/** A smaller body fits one packet as it is. */
const MIN_BYTES = KiB;

/**
 * Sends pages compressed, by a thread of Node's pool. The size of a compressed page that repeats a text of its URL tells another
 * site, which makes the browser open it, whether the page holds that text (BREACH). So a page that is rendered for a login is
 * compressed only if the browser says that its user or a page of this origin has asked for it. Tokens of forms differ on each page.
 * @see https://www.breachattack.com/
 */
export function compressPages(sessions: Sessions): MiddlewareHandler {
  return async (c, next) => {
    await next();
    if (!c.res.headers.get('Content-Type')?.startsWith('text/html')) return; // a download is sent as it comes
    c.header('Vary', 'Accept-Encoding', { append: true });
    if (!c.res.body || !takesGzip(c) || !(isOwnRequest(c) || sessions.of(c).holder === undefined)) return;
    const body = new Uint8Array(await c.res.arrayBuffer());
    const isSmall = body.length < MIN_BYTES;
    c.res = new Response(isSmall ? body : new Uint8Array(await compress(body)), c.res);
    if (!isSmall) c.header('Content-Encoding', 'gzip');
  };
}

/** https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding */
export function takesGzip(c: Context): boolean {
  const encodings = (c.req.header('Accept-Encoding') ?? '').split(',').map((text) => text.replaceAll(/\s/g, ''));
  return encodings.some((encoding) => /^gzip(?:;q=(?!0(?:\.0*)?$)[\d.]+)?$/i.test(encoding));
}

/** Browsers send the header to HTTPS origins and to this machine. https://www.w3.org/TR/fetch-metadata/ */
function isOwnRequest(c: Context): boolean {
  return ['same-origin', 'none'].includes(c.req.header('Sec-Fetch-Site') ?? '');
}
