import { type KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { createApp } from './app.ts';
import { Keys } from './auth/keys.ts';
import { openAuth } from './auth/open.ts';
import { PasswordThread } from './auth/password-thread.ts';
import type { Config } from './config/config.ts';
import { immutabilityOf } from './config/immutable-tags.ts';
import type { JsonValue } from './json.ts';
import { layout } from './layout.ts';
import { mayWrite } from './layout-version.ts';
import type { Log } from './log.ts';
import { accessLog, type NodeServer, startNodeServer } from './node-server.ts';
import { Background } from './registry/background.ts';
import { removeExpiredScraps } from './registry/chunked-upload.ts';
import { createRegistry } from './registry/registry.ts';
import { SessionSigner } from './registry/upload-session.ts';
import type { StorageDriver } from './storage/driver.ts';
import { openStorage } from './storage/open.ts';
import { readOnlyStorage } from './storage/read-only.ts';
import type { AuthenticationOptions } from './v1/authentication.ts';
import { parsePrivilegedKey } from './v1/signature.ts';

/** Paths of PEM files. */
export type TlsFiles = { cert: string; key: string };

/** How long `readyz` waits for storage. */
const READY_MS = 2000;
const SWEEP_MS = 6 * 60 * 60 * 1000;

/**
 * Opens storage and serves the registry.
 * @throws Error if storage or the certificate cannot be used, or the port is taken
 */
export async function serve(
  config: Config,
  { log, version, tlsFiles }: { log: Log; version: string; tlsFiles?: TlsFiles },
): Promise<NodeServer> {
  const tls = tlsFiles && (await readTlsFiles(tlsFiles));
  const opened = await openStorage(config.storage);
  const isReadOnly = !(await mayWrite(opened));
  const storage = isReadOnly ? readOnlyStorage(opened) : opened;
  if (isReadOnly) log.warning('a newer Stowage writes to this storage; this one is too old to, and serves reads only');
  if (config.mirroring) log.warning('mirroring.source is set, but has no effect in this version');
  if (!config.secretKey && config.storage.driver === 's3') {
    log.warning('secret_key is not set: uploads and tokens are valid in this process only, and not after a restart');
  }

  if (config.storage.driver === 'local' && !isReadOnly) sweep(storage, log);

  const passwords = new PasswordThread();
  const secret = config.secretKey ?? randomBytes(32).toString('hex');
  const auth = await openAuth(config.auth, {
    storage: config.storage,
    driver: storage,
    keys: new Keys(secret, config.secretKeyPrevious),
    log,
    audit: (entry) => log.audit(entry),
    comparePassword: (password, hash) => passwords.compare(password, hash),
  });
  if (!config.auth && !isLoopback(config.host)) {
    log.warning('there is no auth in the configuration: whoever reaches this address may read and write everything');
  }

  const background = new Background(log);
  let isStopping = false;
  const app = createApp({
    registry: createRegistry(storage, {
      copiesLayers: config.v1Layers === 'copy',
      background,
      isImmutable: immutabilityOf(config.immutableTags),
    }),
    signer: new SessionSigner(secret, config.secretKeyPrevious),
    log,
    around: accessLog(log),
    auth,
    isReady: async () => !isStopping && (await answers(storage)),
    settings: {
      isReadOnly,
      isStandalone: config.standalone,
      isMirror: config.mirroring !== undefined,
      hasSearch: config.searchBackend !== undefined,
      storageRedirect: config.storageRedirect,
      issue: (config.issue ?? true) as JsonValue,
      ...(!config.standalone && !config.disableTokenAuth && { authentication: await authenticationOf(config) }),
      ...(config.nginxXAccelRedirect && { nginxRedirect: config.nginxXAccelRedirect }),
      ...(config.cors && { cors: config.cors }),
      ...(config.registryEndpoints && { registryEndpoints: config.registryEndpoints }),
      ...(config.debug && { debug: { version, flavor: config.flavor ?? '' } }),
    },
  });
  const server = await startNodeServer(app, {
    host: config.host,
    port: config.port,
    trustedProxies: config.trustedProxies,
    ...(tls && { tls }),
  });
  return {
    ...server,
    async stop() {
      isStopping = true;
      await server.stop();
      await background.idle();
      await storage.close();
    },
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d+){3}$/.test(host);
}

async function readTlsFiles({ cert, key }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  try {
    const tls = { cert: await readFile(cert), key: await readFile(key) };
    createSecureContext(tls);
    return tls;
  } catch (cause) {
    throw new Error(`${cert} and ${key} must be a certificate and its key, in PEM`, { cause });
  }
}

async function authenticationOf({ indexEndpoint, privilegedKey: path }: Config): Promise<AuthenticationOptions> {
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

/** What a bucket's lifecycle rule does, done by the process itself: now, and every few hours. */
function sweep(storage: StorageDriver, log: Log): void {
  const run = () => void removeExpiredScraps(storage).catch((error) => log.warning('could not sweep', { error }));
  run();
  setInterval(run, SWEEP_MS).unref();
}

async function answers(storage: StorageDriver): Promise<boolean> {
  const head = storage.head(layout.layoutVersion()).then(
    () => true,
    () => false,
  );
  return await Promise.race([head, new Promise<false>((resolve) => setTimeout(resolve, READY_MS, false).unref())]);
}
