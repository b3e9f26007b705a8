import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { reachedAt } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { compressPages, takesGzip } from './compress-pages.ts';
import { ASSETS } from './html/assets.ts';
import { accountRoutes } from './pages/account.ts';
import { deletionRoutes } from './pages/delete-tags.ts';
import { digestRoutes } from './pages/digest.ts';
import { errorPage } from './pages/errors.ts';
import { placeRoutes } from './pages/place.ts';
import { repositoriesRoutes } from './pages/repositories.ts';
import { Ui, type UiOptions } from './pages/ui.ts';
import { usageRoutes } from './pages/usage.ts';
import { identifyBySession } from './session/identify.ts';
import { setPageOrigin } from './session/sessions.ts';

/** The web pages, below `/ui/`. They show what the session's user may read, by the rules of the registry's APIs. */
export function createPages(options: UiOptions & { log: Log }): Hono {
  const ui = new Ui(options);
  const app = new Hono();
  for (const { path, contentType, body, compressed } of Object.values(ASSETS)) {
    app.get(path, (c) => {
      c.header('Content-Type', contentType);
      c.header('Cache-Control', 'public, max-age=31536000, immutable');
      c.header('Vary', 'Accept-Encoding');
      if (!takesGzip(c)) return c.body(body);
      c.header('Content-Encoding', 'gzip');
      return c.body(compressed);
    });
  }
  app.get('/ui', (c) => c.redirect('/ui/', 308));
  app.use(
    '/ui/*',
    compressPages(ui.sessions),
    pageHeaders,
    originOfPages(options.publicUrl),
    identifyBySession(ui.sessions, ui.login?.authenticator),
  );
  app.onError((error, c) => errorPage(ui, c, error, options.log));
  return app
    .route('/', repositoriesRoutes(ui))
    .route('/', placeRoutes(ui))
    .route('/', deletionRoutes(ui))
    .route('/', usageRoutes(ui))
    .route('/', digestRoutes(ui))
    .route('/', accountRoutes(ui))
    .all('/ui/*', (c) => {
      throw new RegistryError('NAME_UNKNOWN', `there is no ${c.req.path}`);
    });
}

const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * No cache keeps a page, no page runs or loads what was pushed, and none is framed. `same-origin` rather than `no-referrer`,
 * with which browsers send `Origin: null` with forms.
 */
const pageHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  c.header('Cache-Control', 'private, no-store');
  c.header('Content-Security-Policy', POLICY);
  c.header('Referrer-Policy', 'same-origin');
  c.header('Cross-Origin-Opener-Policy', 'same-origin');
  c.header('Cross-Origin-Resource-Policy', 'same-origin');
};

function originOfPages(publicUrl: string | undefined): MiddlewareHandler {
  const publicOrigin = publicUrl === undefined ? undefined : new URL(publicUrl).origin;
  return async (c, next) => {
    setPageOrigin(c, originOf(c, publicOrigin));
    await next();
  };
}

/** The origin by which the browser reaches the pages: the configured one only if the browser asked for that host. */
function originOf(c: Context, publicOrigin: string | undefined): string {
  const reached = reachedAt(c)?.origin ?? new URL(c.req.url).origin;
  return publicOrigin !== undefined && new URL(publicOrigin).host === new URL(reached).host ? publicOrigin : reached;
}
