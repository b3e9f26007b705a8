// A server in the process of the test, with seconds for the days of the collector.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { Background } from '../../lib/concurrency/background.ts';
import type { Config } from '../../lib/config/config.ts';
import { loadConfig } from '../../lib/config/load.ts';
import { createLog } from '../../lib/model/log.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../../lib/registry/condemned/times.ts';
import type { Registry } from '../../lib/registry/registry.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import { openApp } from '../../lib/server/open-app.ts';
import { openRegistry } from '../../lib/server/open-registry.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import type { Backend } from './backends.ts';
import { CONFIG } from './stowage.ts';

/** Clients and the collector take turns in these tests, so looks need not be shorter than the grace period. */
export const SCALED: CollectionTimes = { ...COLLECTION_TIMES, graceMs: 1000, minAgeMs: 1000, oldWritersMs: 0 };

export interface ScaledServer {
  /** `127.0.0.1:<port>`, as clients name it. */
  readonly host: string;
  readonly url: string;
  readonly registry: Registry;
  readonly storage: StorageDriver;
  /** How precisely storage tells when an object was written, and a little more. */
  readonly clockStepMs: number;
  /** What tells a command to use the same storage with the same configuration. */
  readonly env: NodeJS.ProcessEnv;
  /** Resolves when no work is left that follows from requests. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param options.env further settings
 * @param options.retention what the configuration cannot say: its ages are days
 */
export async function startScaledServer(
  backend: Pick<Backend, 'env'>,
  { env: more = {}, retention = {} }: { env?: NodeJS.ProcessEnv; retention?: Partial<Config['retention']> } = {},
): Promise<ScaledServer> {
  const env = { SECRET_KEY: randomBytes(32).toString('hex'), STOWAGE_RUNTIME_DIR: '', ...backend.env, ...more };
  const { config: loaded } = loadConfig({ env, file: CONFIG });
  const config = { ...loaded, retention: { ...loaded.retention, ...retention } };
  if (config.storage.driver === 'local') await mkdir(config.storage.path, { recursive: true });
  // Audit lines are written at every level.
  const log = createLog('error', (line) => line.includes('"audit"') || process.stderr.write(line));
  const background = new Background(log);
  const opened = await openRegistry(config, { log, background, times: SCALED });
  const app = await openApp(config, opened, { log, version: 'test' });
  const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
  return {
    host: server.url.host,
    url: server.url.origin,
    ...{ registry: opened.registry, storage: opened.storage, env },
    clockStepMs: config.storage.driver === 'local' ? 100 : 1100,
    idle: () => background.idle(),
    async stop() {
      server.kill();
      await server.stop();
      await background.idle();
      await opened.storage.close();
    },
  };
}
