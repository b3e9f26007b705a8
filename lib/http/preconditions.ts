import type { Context } from 'hono';

/** Whether a change may be made, by the ETag of what is there now; undefined for nothing. */
export type Precondition = (etag: string | undefined) => boolean;

/**
 * What the request wants to be so before it changes anything; undefined if nothing.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
 */
export function preconditionOf(c: Context): Precondition | undefined {
  const ifMatch = tagsOf(c.req.header('If-Match'));
  const ifNoneMatch = tagsOf(c.req.header('If-None-Match'));
  if (!ifMatch && !ifNoneMatch) return undefined;
  return (etag) => (!ifMatch || matches(ifMatch, etag)) && !(ifNoneMatch && matches(ifNoneMatch.map(strong), etag));
}

/**
 * Whether a range of this content is wanted, if it is still what the client has begun to read. No content here has a date.
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
