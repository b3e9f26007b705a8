// What surrounds the routes of a configuration: callers, limits, and the settings of the process.
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { MiddlewareHandler } from 'hono';
import { type Auth, type AuthSharing, createAuth } from '../auth/create-auth.ts';
import type { ComparePassword } from '../auth/passwords/password-logins.ts';
import type { Config } from '../config/config.ts';
import { type GatewayLimits, NO_GATEWAY_LIMITS } from '../http/gateway-quirks.ts';
import type { Log } from '../model/log.ts';
import { SigningKeys } from '../model/signed-token.ts';
import type { IndexAccessOptions } from '../v1/access-by-index.ts';
import { parsePrivilegedKey } from '../v1/signature.ts';
import type { ShellOptions, ShellSettings } from './app-shell.ts';
import type { OpenStorage } from './open-reads.ts';
import { createSecret } from './secret.ts';

export type OpenShellOptions = {
  log: Log;
  /** Middleware around every request: an access log, for example. */
  outerMiddleware?: MiddlewareHandler;
  /** Whether an authorizer in front has authenticated requests, so that users are read only when a client logs in here. */
  hasAuthorizer?: boolean;
  /** Compares passwords; by default in this thread. */
  comparePassword?: ComparePassword;
  /** Whether to apply the browser guard: the server listens on loopback only, without a proxy in front. */
  guardsBrowsers?: boolean;
  /** What the workers of one server share. */
  sharing?: AuthSharing;
  /** Of the gateway in front of this process, if there is one. */
  gatewayLimits?: GatewayLimits;
};

export type Shell = ShellOptions & { auth: Auth; keys: SigningKeys; settings: Config & ShellSettings };

/** @throws Error if a file or the users that the configuration names cannot be read */
export async function openShell(
  config: Config,
  { storage, isReadOnly }: OpenStorage,
  options: OpenShellOptions,
): Promise<Shell> {
  const { log, outerMiddleware, hasAuthorizer = false, comparePassword, sharing } = options;
  const { gatewayLimits = NO_GATEWAY_LIMITS, guardsBrowsers = false } = options;
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
    ...(sharing && { sharing }),
  });
  const indexAccess = await indexAccessOf(config);
  const settings = { ...config, ...gatewayLimits, isReadOnly, guardsBrowsers, indexAccess };
  return { log, keys, auth, settings, ...(outerMiddleware && { outerMiddleware }) };
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
