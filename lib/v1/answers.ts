import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { NOT_CACHED } from '../http/error-response.ts';
import type { JsonValue } from '../model/json.ts';
import { pythonJson } from '../model/python-json.ts';

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

/**
 * The headers of an answer about a complete image, which does not change. As docker-registry sent them.
 * @param isForAll whether every caller may read everything. Otherwise shared caches may not store the answer: with `public`
 *   they would serve it to callers without a right to it
 * @see https://www.rfc-editor.org/rfc/rfc9111#section-3.5
 */
export function cachedForAYear(isForAll: boolean, now = new Date()): Record<string, string> {
  return {
    'Cache-Control': `${isForAll ? 'public' : 'private'}, max-age=31536000`,
    ...(isForAll && { Expires: new Date(now.getTime() + YEAR_MS).toUTCString() }),
    'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
  };
}

/** A JSON answer as docker-registry 0.9 wrote it: on one line, with sorted keys. */
export function answer(
  c: Context,
  value: JsonValue,
  options: { status?: ContentfulStatusCode; headers?: Record<string, string | string[]> } = {},
): Response {
  const { status = 200, headers = {} } = options;
  return c.body(pythonJson(value, { sortKeys: true }), status, {
    'Content-Type': 'application/json',
    ...('Cache-Control' in headers ? {} : NOT_CACHED),
    ...headers,
  });
}
