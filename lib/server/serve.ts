import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { AuthSharing } from '../auth/create-auth.ts';
import type { ComparePassword } from '../auth/passwords/password-logins.ts';
import { Background } from '../concurrency/background.ts';
import type { Config } from '../config/config.ts';
import { MAX_BYTES as MAX_UNSENT_BYTES } from '../limits/unsent-answers.ts';
import type { Log } from '../model/log.ts';
import type { StorageSharing } from '../storage/configured-storage.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { openStorage } from '../storage/open.ts';
import type { HashBlocks } from '../streams/hash-blocks.ts';
import { createOperations } from '../v2/stowage/operations.ts';
import type { Operate } from '../v2/stowage/options.ts';
import { accessLog } from './access-log.ts';
import { aroundCollection } from './around-collection.ts';
import { clearRemainsRegularly } from './clear-regularly.ts';
import { collectRegularly, loggedStart } from './collect-regularly.ts';
import { countRegularly } from './count-regularly.ts';
import { type Certificate, type NodeServer, startNodeServer, type TrustedProxies } from './node-server.ts';
import { openApp } from './open-app.ts';
import { openRegistry } from './open-registry.ts';

/** Paths of PEM files. */
export type TlsFiles = { cert: string; key: string };

export type ServeOptions = {
  log: Log;
  version: string;
  tlsFiles?: TlsFiles;
  /** Whether this process does background work, such as projections. False where the projection worker does it. Default true. */
  runsBackgroundWork?: boolean;
  /** Compares passwords; by default in this thread. */
  comparePassword?: ComparePassword;
  /** Number of trusted proxies, if it depends on the request. */
  trustedProxies?: TrustedProxies;
  /** Whether the hop in front passes on no answer before the request body has ended. */
  isHalfDuplex?: boolean;
  /** As in `ListenOptions`. */
  hashBlocks?: HashBlocks;
  /** Present if this process is one of several workers of a server. */
  worker?: WorkerOptions;
};

export type WorkerOptions = {
  /** As in `ListenOptions`. */
  sockets: readonly number[];
  /** Whether this worker logs what holds for all, runs the schedules, and does operations. */
  isFirst: boolean;
  sharing: AuthSharing & StorageSharing;
  /** Has an operation done by the first worker. */
  operate: Operate;
};

/** A server that reads its certificate again, for connections from then on. */
export type RenewingServer = NodeServer & {
  /** Does nothing without TLS. @throws Error if the files cannot be used; then the certificate in use stays */
  renewCertificate(): Promise<void>;
};

/** `operate` does operations in this process: present in the first of several workers. */
export type Serving = RenewingServer & { operate?: Operate };

/**
 * Opens storage and serves the registry.
 * @throws Error if storage or the certificate cannot be used, or the port is taken
 */
export async function serve(config: Config, options: ServeOptions): Promise<Serving> {
  const { log, version, tlsFiles, runsBackgroundWork = true, comparePassword, worker } = options;
  const { trustedProxies = config.trustedProxies, isHalfDuplex = false, hashBlocks } = options;
  const tls = tlsFiles && (await readTlsFiles(tlsFiles));
  const background = new Background(log);
  const opened = await openRegistry(config, {
    log,
    driver: await openStorage(config.storage, worker?.sharing),
    ...(worker && { peers: worker.sharing.peers }),
    ...(runsBackgroundWork && { background }),
  });
  const { storage } = opened;
  const isFirst = worker?.isFirst ?? true;
  if (isFirst) await warnOf(config, storage, log);

  const { collections } = opened.registry;
  const { everyMs } = config.gc;
  const startCollection =
    isFirst && !opened.isReadOnly && runsBackgroundWork ? loggedStart(collections, log, everyMs) : undefined;
  const operate = worker?.isFirst
    ? createOperations({ registry: opened.registry, gc: config.gc, ...(startCollection && { startCollection }) })
    : worker?.operate;
  let isStopping = false;
  const app = await openApp(config, opened, {
    log,
    version,
    outerMiddleware: accessLog(log),
    isStopping: () => isStopping,
    hasPages: true,
    guardsBrowsers: isLoopback(config.host) && trustedProxies === 0,
    ...(comparePassword && { comparePassword }),
    ...(startCollection && { startCollection }),
    ...(operate && { operate }),
    ...(worker && { sharing: worker.sharing }),
  });
  const server = await startNodeServer(app, {
    host: config.host,
    port: config.port,
    trustedProxies,
    isHalfDuplex,
    log,
    ...(hashBlocks && { hashBlocks }),
    ...(tls && { tls }),
    ...(worker && { sockets: worker.sockets, maxUnsentBytes: MAX_UNSENT_BYTES / worker.sharing.workers }),
  });
  const stopSchedule =
    startCollection && everyMs !== undefined
      ? collectRegularly({
          ...{ collections, start: startCollection, log, everyMs },
          around: aroundCollection(opened.registry, log),
        })
      : () => undefined;
  const stopClearing =
    startCollection && everyMs === undefined ? clearRemainsRegularly({ storage, log }) : () => undefined;
  const stopCounting =
    startCollection && config.quotas.length > 0
      ? countRegularly({ registry: opened.registry, log })
      : async () => undefined;
  return {
    ...server,
    ...(worker?.isFirst && operate && { operate }),
    async renewCertificate() {
      if (tlsFiles) server.useCertificate(await readTlsFiles(tlsFiles));
    },
    async stop() {
      isStopping = true;
      stopSchedule();
      stopClearing();
      const ended = [collections.stop(), stopCounting()];
      await server.stop();
      await background.idle();
      await Promise.all(ended);
      await storage.close();
    },
  };
}

/** Warns of what the operator should know about configuration and storage. */
async function warnOf(config: Config, storage: StorageDriver, log: Log): Promise<void> {
  for (const limitation of (await storage.findLimitations?.()) ?? []) log.warning(limitation);
  if (!config.auth && !isLoopback(config.host)) {
    log.warning(
      'there is no auth in the configuration: every client that reaches this address may read and write everything',
    );
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d+){3}$/.test(host);
}

async function readTlsFiles({ cert, key }: TlsFiles): Promise<Certificate> {
  try {
    const tls = { cert: await readFile(cert), key: await readFile(key) };
    createSecureContext(tls);
    return tls;
  } catch (cause) {
    throw new Error(`${cert} and ${key} must be a certificate and its key, in PEM`, { cause });
  }
}
