import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { JsonValue } from '../json.ts';
import { pythonJson } from '../registry/python-json.ts';

/** What every v1 answer carries unless it may be cached. */
export const NOT_CACHED = { 'Cache-Control': 'no-cache', Expires: '-1', Pragma: 'no-cache' };

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

/** Images never change once they are complete. docker-registry sent these, and `If-Modified-Since` always got a 304. */
export function cachedForAYear(now = new Date()): Record<string, string> {
  return {
    'Cache-Control': 'public, max-age=31536000',
    Expires: new Date(now.getTime() + YEAR_MS).toUTCString(),
    'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
  };
}

/** JSON as docker-registry 0.9 wrote it: on one line, with sorted keys. */
export function answer(
  c: Context,
  value: JsonValue,
  options: { status?: ContentfulStatusCode; headers?: Record<string, string | string[]> } = {},
): Response {
  return c.body(pythonJson(value, { sortKeys: true }), options.status ?? 200, {
    'Content-Type': 'application/json',
    ...NOT_CACHED,
    ...options.headers,
  });
}
