// Stowage as a library: `import { createRegistry } from 'stowage'`. docs/embedding.md has examples.
import * as zlib from 'node:zlib';
import { engines } from '../server/version.ts';
import type { CreateRegistryOptions, EmbeddedRegistry } from './embedded-registry.ts';

export type { Log, LogFields, LogLevel } from '../model/log.ts';
export * from '../storage/driver.ts';
export type { CreateRegistryOptions, EmbeddedRegistry, FetchOptions } from './embedded-registry.ts';

/**
 * Opens a registry for use by another program: a test, or a server that has other routes too. Without `directory`, `storage`
 * and the key `storage` of `config`, everything is kept in a temporary directory until `close`.
 *
 * Without `auth` in `config` every caller may do everything, except browsers: their requests are refused under a `Host` that
 * does not name this machine, and their writes where they come from pages of other origins, unless `config` has `public_url`,
 * `cors` or `trusted_proxies`.
 * @throws TypeError for an unknown option, and for a `config` that is no plain object, or has `undefined` for `auth` or `access`
 * @throws Error if storage cannot be used, `config` has a wrong value, a variable `REGISTRY_AUTH…` of registry:2 is set while
 * `config` has no `auth`, or Node is too old
 */
export async function createRegistry(options: CreateRegistryOptions = {}): Promise<EmbeddedRegistry> {
  // Without it the next import would fail, and the message name nothing but the missing function.
  if (!('createZstdDecompress' in zlib)) {
    throw new Error(`Stowage needs Node ${engines.node}; this is ${process.versions.node}`);
  }
  const { openEmbedded } = await import('./open-embedded.ts');
  return await openEmbedded(options);
}
