import { mkdtemp, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Background } from '../concurrency/background.ts';
import { readKeys } from '../config/load.ts';
import type { ClientBindings } from '../http/client-address.ts';
import type { OriginBindings } from '../http/request.ts';
import { createLog, type Log } from '../model/log.ts';
import { aroundCollection } from '../server/around-collection.ts';
import { clearRemainsRegularly } from '../server/clear-regularly.ts';
import { collectRegularly, loggedStart } from '../server/collect-regularly.ts';
import { countRegularly } from '../server/count-regularly.ts';
import { createNodeListener } from '../server/node-server.ts';
import { openApp } from '../server/open-app.ts';
import { openRegistry } from '../server/open-registry.ts';
import { version } from '../server/version.ts';
import { checkOptions } from './check-options.ts';
import type { CreateRegistryOptions, EmbeddedRegistry, FetchOptions } from './embedded-registry.ts';

/** As `createRegistry`. */
export async function openEmbedded(options: CreateRegistryOptions): Promise<EmbeddedRegistry> {
  checkOptions(options);
  const { directory, storage: driver, config: keys = {}, log = logOfProblems() } = options;
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
    const { collections } = opened.registry;
    const { everyMs } = config.gc;
    const start = loggedStart(collections, log, everyMs);
    const app = await openApp(config, opened, {
      ...{ log, version, guardsBrowsers: config.trustedProxies === 0 },
      ...(!opened.isReadOnly && { startCollection: start }),
    });
    const stopSchedule =
      opened.isReadOnly || everyMs === undefined
        ? undefined
        : collectRegularly({
            ...{ collections, start, log, everyMs },
            around: aroundCollection(opened.registry, log),
          });
    const stopClearing =
      opened.isReadOnly || everyMs !== undefined ? undefined : clearRemainsRegularly({ storage: opened.storage, log });
    const stopCounting =
      opened.isReadOnly || config.quotas.length === 0 ? undefined : countRegularly({ registry: opened.registry, log });
    return {
      fetch: async (request, client) => await app.fetch(withBodyHeader(request), bindingsOf(request, client)),
      listener: createNodeListener(app, { trustedProxies: config.trustedProxies, log }),
      async close() {
        stopSchedule?.();
        stopClearing?.();
        await Promise.all([collections.stop(), stopCounting?.()]);
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

/**
 * A request that was received says by a header whether it has a body, which the limits on uploads and memory rely on. A
 * `Request` made in this process may have a body without either header.
 * https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
function withBodyHeader(request: Request): Request {
  const { body, headers } = request;
  if (!body || headers.has('Content-Length') || headers.has('Transfer-Encoding')) return request;
  return new Request(request, { headers: [...headers, ['Transfer-Encoding', 'chunked']] });
}

function bindingsOf({ url }: Request, { clientAddress = '' }: FetchOptions = {}): OriginBindings & ClientBindings {
  const { origin, host } = new URL(url);
  return {
    reached: () => ({ origin, authority: host, isCertain: true }),
    ...(isIP(clientAddress) !== 0 && { clientAddress }),
  };
}

function logOfProblems(): Log {
  return { ...createLog('warning', (line) => process.stderr.write(line)), audit: () => {} };
}
