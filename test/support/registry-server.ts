import type { Auth } from '../../lib/auth/create-auth.ts';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import type { UnpackLimits } from '../../lib/compression/unpack-limits.ts';
import { Background } from '../../lib/concurrency/background.ts';
import { NO_GATEWAY_LIMITS } from '../../lib/http/gateway-quirks.ts';
import { createLog } from '../../lib/model/log.ts';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import type { V1ImagesPolicy } from '../../lib/registry/collector/image-reasons.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../../lib/registry/condemned/times.ts';
import type { IndexChildren } from '../../lib/registry/manifests/manifest-checks.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import type { RetentionSettings } from '../../lib/registry/retention/settings.ts';
import type { Quota } from '../../lib/registry/usage/quotas.ts';
import { type AppSettings, createApp } from '../../lib/server/app.ts';
import { loggedStart } from '../../lib/server/collect-regularly.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import type { HashBlocks } from '../../lib/streams/hash-blocks.ts';
import { createPages } from '../../lib/ui/app.ts';
import type { TrustedKey } from '../../lib/ui/data/signatures/trusted-keys.ts';

export type RegistryServer = {
  url: URL;
  /** Resolves when no background work is left. */
  idle(): Promise<void>;
  stop(): Promise<void>;
};

export const TEST_KEYS = new SigningKeys('a secret of the tests');

/** An open registry that is its own index, with all options off. */
export const TEST_SETTINGS: AppSettings = {
  ...NO_GATEWAY_LIMITS,
  isReadOnly: false,
  isStandalone: true,
  indexAccess: undefined,
  isMirror: false,
  hasSearch: false,
  storageRedirect: false,
  nginxXAccelRedirect: undefined,
  registryEndpoints: undefined,
  publicUrl: undefined,
  pushEndpoint: undefined,
  absoluteLocations: 'auto',
  v2VersionHeader: 'auto',
  guardsBrowsers: false,
  cors: undefined,
  debug: false,
  flavor: undefined,
  gc: { graceMs: COLLECTION_TIMES.graceMs },
  issue: true,
  pages: undefined,
};

export const TEST_VERSION = '1.2.3';

export type TestSettings = Partial<AppSettings> & {
  v1Layers?: 'copy' | 'link';
  v1Projection?: 'eager' | 'lazy';
  /** Whether projections are made in the background after a tag change. */
  runsBackgroundWork?: boolean;
  auth?: Auth;
  isImmutable?: (repository: string, tag?: string) => boolean;
  indexChildren?: IndexChildren;
  trustedProxies?: number;
  isHalfDuplex?: boolean;
  hashBlocks?: HashBlocks;
  unpackLimits?: UnpackLimits;
  retention?: RetentionSettings;
  quotas?: Quota[];
  trustedKeys?: readonly TrustedKey[];
  /** Takes lines of the log from `warning` on. Default: errors go to stderr. */
  onLogLine?: (line: string) => void;
  times?: CollectionTimes;
  v1Images?: V1ImagesPolicy;
};

/** Serves the registry over this storage, in this process, on a free port. */
export async function startRegistry(
  storage: StorageDriver,
  {
    v1Layers = 'copy',
    v1Projection = 'eager',
    runsBackgroundWork = true,
    auth = { gate: Gate.forOpenRegistry(), limits: new RequestLimits() },
    isImmutable,
    indexChildren,
    trustedProxies = 0,
    isHalfDuplex = false,
    hashBlocks,
    unpackLimits,
    retention,
    quotas,
    trustedKeys,
    onLogLine,
    times,
    v1Images,
    ...settings
  }: TestSettings = {},
): Promise<RegistryServer> {
  const log = createLog(onLogLine ? 'warning' : 'error', (line) => {
    if (!onLogLine) return process.stderr.write(line);
    onLogLine(line);
    return true;
  });
  const background = new Background(log);
  const registry = assembleRegistry(storage, {
    copiesLayers: v1Layers === 'copy',
    projectsLazily: v1Projection === 'lazy',
    ...(runsBackgroundWork && { background }),
    ...(isImmutable && { isImmutable }),
    ...(unpackLimits && { unpackLimits }),
    ...(retention && { retention }),
    ...(quotas && { quotas: { quotas, log } }),
    ...(indexChildren && { indexChildren }),
    ...(times && { times }),
    ...(v1Images && { v1Images }),
  });
  const app = createApp({
    registry,
    startCollection: loggedStart(registry.collections, log),
    keys: TEST_KEYS,
    log,
    auth,
    isReady: async () => true,
    createPages,
    ...(trustedKeys && { trustedKeys }),
    settings: { ...TEST_SETTINGS, ...settings },
    version: TEST_VERSION,
  });
  const server = await startNodeServer(app, {
    host: '127.0.0.1',
    port: 0,
    trustedProxies,
    isHalfDuplex,
    ...(hashBlocks && { hashBlocks }),
  });
  return {
    url: server.url,
    idle: () => background.idle(),
    async stop() {
      server.kill();
      await server.stop();
      await background.idle();
    },
  };
}
