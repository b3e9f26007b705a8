import type { Context, Next } from 'hono';

/** Keeps browsers from rendering or running pushed content as a page of this host. */
export async function disarmContent(c: Context, next: Next): Promise<void> {
  await next();
  c.res.headers.set('X-Content-Type-Options', 'nosniff');
  if (c.res.headers.has('Content-Security-Policy')) return; // a page of the registry's own
  c.res.headers.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; sandbox");
}
