import { type Context, Hono, type MiddlewareHandler, type Next } from 'hono';
import { cors } from 'hono/cors';
import { requestId } from 'hono/request-id';
import type { Auth } from '../auth/create-auth.ts';
import type { Config, CorsConfig } from '../config/config.ts';
import { browserGuard } from '../http/browser-guard.ts';
import { disarmContent } from '../http/disarm-content.ts';
import { type GatewayLimits, limitBodies } from '../http/gateway-quirks.ts';
import { PathRouter, refuseLongPaths } from '../http/path-limit.ts';
import { refuseTheRest } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { SigningKeys } from '../model/signed-token.ts';
import type { Registry } from '../registry/registry.ts';
import type { createPages } from '../ui/app.ts';
import { accessByIndex, type IndexAccessOptions } from '../v1/access-by-index.ts';
import { accessByRules } from '../v1/access-by-rules.ts';
import { answer } from '../v1/answers.ts';
import { createV1 } from '../v1/app.ts';
import type { V1Settings } from '../v1/options.ts';
import { createV2 } from '../v2/app.ts';
import type { Operate, StartCollection } from '../v2/stowage/options.ts';
import { versionHeader } from '../v2/version-header.ts';
import { onError } from './on-error.ts';

export type AppOptions = {
  registry: Registry;
  keys: SigningKeys;
  log: Log;
  /** False while storage does not answer, and once the process shuts down: `/readyz` then answers 503. */
  isReady: () => Promise<boolean>;
  /** Why pushes fail now, for example a full storage; undefined if they do not. */
  roomProblem?: () => Promise<string | undefined>;
  settings: AppSettings;
  /** Absent where this process runs no collector. */
  startCollection?: StartCollection;
  /** Starts a collection in another process, where this one runs no collector. */
  requestCollection?: () => Promise<void>;
  /** As in `StowageOptions`. */
  operate?: Operate;
  /** Version of Stowage. */
  version: string;
  auth: Auth;
  /** Absent where the process serves no web pages. */
  createPages?: typeof createPages;
  /** Middleware around every request: an access log, for example. */
  outerMiddleware?: MiddlewareHandler;
};

/** Settings of the configuration, each declared where it is used, and those that the process decides. */
export type AppSettings = V1Settings &
  GatewayLimits &
  Pick<Config, 'cors' | 'gc' | 'issue' | 'pages' | 'v2VersionHeader'> & {
    /** Whether every write is refused. */
    isReadOnly: boolean;
    /** How an index elsewhere decides access; undefined if `auth` does. */
    indexAccess: IndexAccessOptions | undefined;
    /** Whether browsers are kept out of an open registry: it listens on loopback, without a proxy in front. */
    guardsBrowsers: boolean;
  };

/** The app of both protocols, with `/healthz`, `/readyz` and `/` for operators. Knows neither Lambda nor Node's server. */
export function createApp(options: AppOptions): Hono {
  const { registry, keys, log, isReady, roomProblem, settings, version, auth, outerMiddleware } = options;
  const { startCollection, requestCollection, operate } = options;
  const { gate, limits, login } = auth;
  const access = settings.indexAccess ? accessByIndex(settings.indexAccess, registry) : accessByRules(gate, registry);
  const isForAll = gate.isOpen && !settings.indexAccess;
  const shared = { ...settings, registry, gate, limits };
  const v1Options = { ...shared, ...access, isReady, version, isForAll, ...(login && { tokens: login.v1Tokens }) };
  const v2Options = {
    ...shared,
    keys,
    ...(startCollection && { startCollection }),
    ...(requestCollection && { requestCollection }),
    ...(operate && { operate }),
    ...(login && { tokenService: login.tokenService }),
  };
  const app = new Hono({ router: new PathRouter(new Hono().router) }).use(requestId());
  const identify = unless(needsNoLogin, gate.identify);
  if (outerMiddleware) app.use(outerMiddleware);
  app.use(disarmContent).use(versionHeader(settings.v2VersionHeader));
  if (settings.guardsBrowsers && isForAll) {
    app.use(browserGuard({ publicUrl: settings.publicUrl, origins: settings.cors?.origins }));
  }
  if (settings.cors) app.use(unless(isPage, corsOf(settings.cors)));
  app.use(refuseLongPaths);
  app
    .get('/', (c) => (options.createPages && asksForPage(c) ? c.redirect('/ui/') : answer(c, settings.issue)))
    .get('/healthz', (c) => c.json({ status: 'ok' }))
    .get('/readyz', async (c) => {
      if (!(await isReady())) return c.json({ status: 'not ready' }, 503);
      const noRoom = await roomProblem?.();
      if (noRoom) return c.json({ status: noRoom }, 503);
      const users = login?.authenticator;
      if (users && !(await users.areUsersCurrent())) return c.json({ status: 'the users cannot be read again' }, 503);
      // All processes read the same users, so no other one could do better; robots and anonymous pulls still work.
      const problem = await users?.usersProblem();
      return c.json({ status: 'ok', ...(problem && { problem }) });
    });
  app.use('/v1/*', identify, limits.limitMemory).use('/v2/*', identify, limits.limitMemory);
  if (options.createPages) {
    const { publicUrl, isReadOnly, pages, storageRedirect } = settings;
    const allowsInsecureLogin = pages?.allowsInsecureLogin ?? false;
    const how = { publicUrl, isReadOnly, allowsInsecureLogin, storageRedirect };
    const shown = options.createPages({ registry, auth, keys, log, ...how });
    app.use('/ui/*', limits.limitMemory).route('/', shown);
  }
  if (settings.isReadOnly) app.use(refuseWrites);
  if (settings.maxBodyBytes !== undefined) app.use(limitBodies(settings.maxBodyBytes));
  if (settings.indexAccess) app.use('/v2/*', refuseV2);
  app.onError(onError(log)).route('/', createV1(v1Options)).route('/', createV2(v2Options));
  return refuseTheRest(app, '');
}

/** Whether this is a browser that opens a page: other clients ask for any type, or for JSON. */
function asksForPage(c: Context): boolean {
  return (c.req.header('Accept') ?? '').split(',').some((type) => type.trim().startsWith('text/html'));
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
