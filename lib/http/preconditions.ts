import type { Context } from 'hono';

/** Whether a change is allowed, by the ETag of the current content; undefined if there is none. */
export type Precondition = (etag: string | undefined) => boolean;

/**
 * The precondition of `If-Match` and `If-None-Match`; undefined without these headers.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
 */
export function preconditionOf(c: Context): Precondition | undefined {
  const ifMatch = tagsOf(c.req.header('If-Match'));
  const ifNoneMatch = tagsOf(c.req.header('If-None-Match'));
  if (!ifMatch && !ifNoneMatch) return undefined;
  return (etag) => (!ifMatch || matches(ifMatch, etag)) && !(ifNoneMatch && matches(ifNoneMatch.map(strong), etag));
}

/**
 * Whether `Range` applies: `If-Range`, if there is one, names the content with this ETag. Dates match none.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
 */
export function wantsRangeOf(c: Context, etag: string): boolean {
  const ifRange = c.req.header('If-Range')?.trim();
  return ifRange === undefined || ifRange === etag;
}

function tagsOf(header: string | undefined): string[] | undefined {
  return header?.split(',').map((item) => item.trim());
}

function matches(tags: string[], etag: string | undefined): boolean {
  return etag !== undefined && tags.some((tag) => tag === '*' || tag === etag);
}

function strong(tag: string): string {
  return tag.replace(/^W\//, '');
}
