import { type Context, Hono, type MiddlewareHandler, type Next } from 'hono';
import { cors } from 'hono/cors';
import { requestId } from 'hono/request-id';
import type { Auth } from '../auth/create-auth.ts';
import type { Config, CorsConfig } from '../config/config.ts';
import { browserGuard } from '../http/browser-guard.ts';
import { disarmContent } from '../http/disarm-content.ts';
import { type GatewayLimits, type GatewaySettings, limitBodies } from '../http/gateway-quirks.ts';
import { PathRouter, refuseLongPaths } from '../http/path-limit.ts';
import { refuseTheRest } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { IndexAccessOptions } from '../v1/access-by-index.ts';
import { versionHeader } from '../v2/version-header.ts';
import { onError } from './on-error.ts';

export type ShellOptions = {
  log: Log;
  settings: ShellSettings;
  auth: Pick<Auth, 'gate' | 'limits'>;
  /** Middleware around every request: an access log, for example. */
  outerMiddleware?: MiddlewareHandler;
};

/** Settings of the configuration, each declared where it is used, and those that the process decides. */
export type ShellSettings = GatewaySettings &
  GatewayLimits &
  Pick<Config, 'cors' | 'v2VersionHeader'> & {
    /** Whether every write is refused. */
    isReadOnly: boolean;
    /** How an index elsewhere decides access; undefined if `auth` does. */
    indexAccess: IndexAccessOptions | undefined;
    /** Whether browsers are kept out of an open registry: it listens on loopback, without a proxy in front. */
    guardsBrowsers: boolean;
  };

/** Whether every caller may do everything: the registry is open, and no index decides access. */
export function isForAll({ auth: { gate }, settings: { indexAccess } }: ShellOptions): boolean {
  return gate.isOpen && !indexAccess;
}

/** An app without routes, with what surrounds each request. */
export function createShell(options: ShellOptions): Hono {
  const { log, settings, outerMiddleware } = options;
  const app = new Hono({ router: new PathRouter(new Hono().router) }).use(requestId());
  if (outerMiddleware) app.use(outerMiddleware);
  app.use(disarmContent).use(versionHeader(settings.v2VersionHeader));
  if (settings.guardsBrowsers && isForAll(options)) {
    app.use(browserGuard({ publicUrl: settings.publicUrl, origins: settings.cors?.origins }));
  }
  if (settings.cors) app.use(unless(isPage, corsOf(settings.cors)));
  return app.use(refuseLongPaths).onError(onError(log));
}

/** Adds protocols, and what each of their requests passes. */
export function addProtocols(
  app: Hono,
  { settings, auth: { gate, limits } }: ShellOptions,
  protocols: readonly Hono[],
): Hono {
  const identify = unless(needsNoLogin, gate.identify);
  app.use('/v1/*', identify, limits.limitMemory).use('/v2/*', identify, limits.limitMemory);
  if (settings.isReadOnly) app.use(refuseWrites);
  if (settings.maxBodyBytes !== undefined) app.use(limitBodies(settings.maxBodyBytes));
  if (settings.indexAccess) app.use('/v2/*', refuseV2);
  for (const protocol of protocols) app.route('/', protocol);
  return refuseTheRest(app, '');
}

/** The pages are for the browser's user, not for scripts of other origins. */
const isPage = ({ req: { path } }: Context): boolean => path === '/ui' || path.startsWith('/ui/');

/** Requests that need no login: the ping of v1, and those of upload sessions, which carry their permission. */
const needsNoLogin = ({ req: { method, path } }: Context): boolean =>
  path === '/v1/_ping' || (method !== 'POST' && /^\/v2\/.+\/blobs\/uploads\/[^/]+$/.test(path));

function unless(isExempt: (c: Context) => boolean, middleware: MiddlewareHandler): MiddlewareHandler {
  return async (c, next) => (isExempt(c) ? await next() : await middleware(c, next));
}

/** An index elsewhere knows only tokens of v1, so it cannot decide what a v2 client may do. */
async function refuseV2(): Promise<never> {
  throw new RegistryError('UNAUTHORIZED', 'this registry is not standalone, and its index knows no v2 clients');
}

async function refuseWrites(c: Context, next: Next): Promise<void> {
  if (!['GET', 'HEAD', 'OPTIONS'].includes(c.req.method)) {
    throw new RegistryError('UNSUPPORTED', 'this registry is read-only');
  }
  await next();
}

function corsOf({ origins, methods, headers, exposeHeaders, supportsCredentials, maxAgeSeconds }: CorsConfig) {
  return cors({
    origin: origins.includes('*') ? '*' : origins,
    ...(methods && { allowMethods: methods }),
    ...(headers && { allowHeaders: headers }),
    ...(exposeHeaders && { exposeHeaders }),
    ...(supportsCredentials && { credentials: true }),
    ...(maxAgeSeconds !== undefined && { maxAge: maxAgeSeconds }),
  });
}
