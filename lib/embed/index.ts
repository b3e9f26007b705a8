// Stowage as a library: `import { createRegistry } from 'stowage'`. docs/embedding.md has examples.
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as zlib from 'node:zlib';
import type { Log } from '../model/log.ts';
import { engines } from '../server/version.ts';
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
 * @throws Error if storage cannot be used, `config` has a wrong value, or Node is too old
 */
export async function createRegistry(options: CreateRegistryOptions = {}): Promise<EmbeddedRegistry> {
  // Without it the next import would fail, and the message name nothing but the missing function.
  if (!('createZstdDecompress' in zlib)) {
    throw new Error(`Stowage needs Node ${engines.node}; this is ${process.versions.node}`);
  }
  const { openEmbedded } = await import('./open-embedded.ts');
  return await openEmbedded(options);
}
