// Makes the app of a configuration. It knows neither Node's server nor Lambda.
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Hono, MiddlewareHandler } from 'hono';
import { type AuthSharing, createAuth } from '../auth/create-auth.ts';
import type { ComparePassword } from '../auth/passwords/password-logins.ts';
import type { Config } from '../config/config.ts';
import { type GatewayLimits, NO_GATEWAY_LIMITS } from '../http/gateway-quirks.ts';
import type { Log } from '../model/log.ts';
import { SigningKeys } from '../model/signed-token.ts';
import type { IndexAccessOptions } from '../v1/access-by-index.ts';
import { parsePrivilegedKey } from '../v1/signature.ts';
import type { Operate, StartCollection } from '../v2/stowage/options.ts';
import { createApp } from './app.ts';
import type { OpenRegistry } from './open-registry.ts';
import { Readiness } from './readiness.ts';
import { createSecret } from './secret.ts';

export type OpenAppOptions = {
  log: Log;
  version: string;
  /** Middleware around every request: an access log, for example. */
  outerMiddleware?: MiddlewareHandler;
  /** True once the process shuts down: `/readyz` then answers 503. */
  isStopping?: () => boolean;
  /** Whether an authorizer in front has authenticated requests, so that users are read only when a client logs in here. */
  hasAuthorizer?: boolean;
  /** Compares passwords; by default in this thread. */
  comparePassword?: ComparePassword;
  /** Whether to apply the browser guard: the server listens on loopback only, without a proxy in front. */
  guardsBrowsers?: boolean;
  /** Absent where this process runs no collector. */
  startCollection?: StartCollection;
  /** Starts a collection in another process, where this one runs no collector. */
  requestCollection?: () => Promise<void>;
  /** Whether the process serves the web pages, unless the configuration turns them off. */
  hasPages?: boolean;
  /** As in `StowageOptions`. */
  operate?: Operate;
  /** What the workers of one server share. */
  sharing?: AuthSharing;
  /** Of the gateway in front of this process, if there is one. */
  gatewayLimits?: GatewayLimits;
};

/** @throws Error if a file or the users that the configuration names cannot be read */
export async function openApp(
  config: Config,
  { registry, storage, isReadOnly }: OpenRegistry,
  options: OpenAppOptions,
): Promise<Hono> {
  const { log, version, outerMiddleware, isStopping = () => false, hasAuthorizer = false, comparePassword } = options;
  const { gatewayLimits = NO_GATEWAY_LIMITS, guardsBrowsers = false, hasPages = false } = options;
  if (config.isMirror) log.warning('mirroring.source: Stowage mirrors no other registry, though _ping will say so');
  const secretKey = config.secretKey ?? createSecret(config, log);
  const keys = new SigningKeys(secretKey, config.secretKeyPrevious);
  const auth = await createAuth(config, {
    driver: storage,
    keys,
    log,
    audit: (entry) => log.audit(entry),
    readsUsersLazily: hasAuthorizer,
    ...(comparePassword && { comparePassword }),
    ...(options.sharing && { sharing: options.sharing }),
  });
  const indexAccess = await indexAccessOf(config);
  // An index elsewhere decides who may read what, and knows no sessions of browsers. A process without pages loads none of them.
  const createPages = hasPages && config.pages && !indexAccess ? (await import('../ui/app.ts')).createPages : undefined;
  const readiness = new Readiness(storage);
  return createApp({
    registry,
    keys,
    auth,
    log,
    ...(outerMiddleware && { outerMiddleware }),
    ...(createPages && { createPages }),
    ...(options.startCollection && { startCollection: options.startCollection }),
    ...(options.requestCollection && { requestCollection: options.requestCollection }),
    ...(options.operate && { operate: options.operate }),
    isReady: async () => !isStopping() && (await readiness.answers()),
    roomProblem: () => readiness.roomProblem(),
    settings: {
      ...config,
      ...gatewayLimits,
      isReadOnly,
      guardsBrowsers,
      indexAccess,
    },
    version,
  });
}

/** Undefined where no index is asked. @throws Error if the key cannot be read */
async function indexAccessOf(config: Config): Promise<IndexAccessOptions | undefined> {
  const { isStandalone, disableTokenAuth, indexEndpoint, privilegedKey: path } = config;
  if (isStandalone || disableTokenAuth) return undefined;
  return {
    ...(indexEndpoint && { indexEndpoint }),
    ...(path && { privilegedKey: await readPrivilegedKey(path) }),
  };
}

async function readPrivilegedKey(path: string): Promise<KeyObject> {
  try {
    return parsePrivilegedKey(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(`privileged_key ${path} must be an RSA public key in PEM`, { cause });
  }
}
