// From a configuration to a registry, for every kind of process that serves one.

import type { Background } from '../concurrency/background.ts';
import type { Config } from '../config/config.ts';
import { immutabilityOf } from '../config/immutable-tags.ts';
import type { Log } from '../model/log.ts';
import { recordLayout } from '../registry/layout-version.ts';
import { createRegistry, type Registry } from '../registry/registry.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { openStorage } from '../storage/open.ts';
import { readOnlyStorage } from '../storage/read-only.ts';

export type OpenRegistry = {
  registry: Registry;
  storage: StorageDriver;
  /** A newer program writes to this storage: this one may only read. */
  isReadOnly: boolean;
};

/**
 * Opens storage and what lies in it. `storage.close` ends it.
 * @param background does what no request waits for; without it another process has to
 * @throws Error if storage cannot be used
 */
export async function openRegistry(
  config: Config,
  { log, background }: { log: Log; background?: Background },
): Promise<OpenRegistry> {
  const opened = await openStorage(config.storage);
  const isReadOnly = !(await recordLayout(opened));
  const storage = isReadOnly ? readOnlyStorage(opened) : opened;
  if (isReadOnly) log.warning('a newer Stowage writes to this storage; this one is too old to, and serves reads only');
  const registry = createRegistry(storage, {
    copiesLayers: config.v1Layers === 'copy',
    indexChildren: config.indexChildren,
    isImmutable: immutabilityOf(config.immutableTags),
    unpackLimits: config.unpackLimits,
    ...(background && { background }),
  });
  return { registry, storage, isReadOnly };
}
