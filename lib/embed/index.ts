// Stowage as a library: `import { createRegistry } from 'stowage'`. docs/embedding.md has examples.
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Background } from '../concurrency/background.ts';
import { readKeys } from '../config/load.ts';
import type { OriginBindings } from '../http/request.ts';
import { createLog, type Log } from '../model/log.ts';
import { createNodeListener } from '../server/node-server.ts';
import { openApp } from '../server/open-app.ts';
import { openRegistry } from '../server/open-registry.ts';
import { sweepRegularly } from '../server/sweep.ts';
import { version } from '../server/version.ts';
import type { StorageDriver } from '../storage/driver.ts';

export type { Log, LogFields, LogLevel } from '../model/log.ts';
export * from '../storage/driver.ts';

export type CreateRegistryOptions = {
  /** The directory that holds everything; it is made if it is missing. */
  directory?: string;
  /** Storage of the caller's own, in place of a directory. */
  storage?: StorageDriver;
  /**
   * Keys of `config.yml`, as docs/configuration.md has them: `{ auth: { htpasswd: './users' } }`, or
   * `{ storage: 's3', boto_bucket: 'images' }`. Texts `_env:NAME` are read from the environment. `host`, `port` and
   * `loglevel` have no effect.
   */
  config?: Readonly<Record<string, unknown>>;
  /** Receives the log. By default errors go to standard error, and nothing else is logged. */
  log?: Log;
};

/** A registry without a port of its own. */
export type EmbeddedRegistry = {
  /** Answers one request. The origin of its URL is the one under which the client reaches the registry. */
  fetch(request: Request): Promise<Response>;
  /** Answers a request to a server of `node:http` or `node:https`. */
  listener(request: IncomingMessage, response: ServerResponse): void;
  /**
   * Waits for what is still done after answers, then closes storage, and removes a temporary directory. To be called when
   * all requests have ended.
   */
  close(): Promise<void>;
};

/**
 * Opens a registry for use by another program: a test, or a server that has other routes too. Without `directory`, `storage`
 * and the key `storage` of `config`, everything is kept in a temporary directory until `close`.
 *
 * Without `auth` in `config` every caller may do everything, except browsers: their requests are refused under a `Host` that
 * does not name this machine, and their writes where they come from pages of other origins, unless `config` has `public_url`,
 * `cors` or `trusted_proxies`.
 * @throws Error if storage cannot be used, or `config` has a wrong value
 */
export async function createRegistry({
  directory,
  storage: driver,
  config: keys = {},
  log = logOfErrors(),
}: CreateRegistryOptions = {}): Promise<EmbeddedRegistry> {
  const places = [directory, driver, keys.storage].filter((place) => place !== undefined);
  if (places.length > 1) throw new TypeError('only one of directory, storage and config.storage can be given');
  const temporary = places.length === 0 ? await mkdtemp(join(tmpdir(), 'stowage-')) : undefined;
  const discard = async () => {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  };
  try {
    // Of a driver of the caller's own no path is read.
    const place = keys.storage === undefined && { storage: 'local', storage_path: directory ?? temporary ?? '.' };
    const { config, warnings } = readKeys({ ...keys, ...place }, { env: process.env, source: 'createRegistry' });
    for (const warning of warnings) log.warning(warning);
    const background = new Background(log);
    const opened = await openRegistry(config, { log, background, ...(driver && { driver }) });
    const app = await openApp(config, opened, { log, version, guardsBrowsers: config.trustedProxies === 0 });
    const stopSweeping = opened.storage.needsSweeping && sweepRegularly(opened.storage, log);
    return {
      fetch: async (request) => await app.fetch(request, bindingsOf(request)),
      listener: createNodeListener(app, { trustedProxies: config.trustedProxies }),
      async close() {
        if (stopSweeping) stopSweeping();
        await background.idle();
        await opened.storage.close();
        await discard();
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

function bindingsOf({ url }: Request): OriginBindings {
  const { origin, host } = new URL(url);
  return { reached: { origin, authority: host, isCertain: true } };
}

function logOfErrors(): Log {
  return { ...createLog('error', (line) => process.stderr.write(line)), audit: () => {} };
}
