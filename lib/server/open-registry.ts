// Opens the registry of a configuration, for the Node server and the Lambda functions.

import type { Background } from '../concurrency/background.ts';
import type { Peers } from '../concurrency/peers.ts';
import type { Config } from '../config/config.ts';
import { immutabilityOf } from '../config/immutable-tags.ts';
import type { Log } from '../model/log.ts';
import { recordLayout, refuseOnceOutdated } from '../registry/condemned/layout-record.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../registry/condemned/times.ts';
import { assembleRegistry, type Registry } from '../registry/registry.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { readOnlyStorage } from '../storage/guarded-writes.ts';
import { openStorage } from '../storage/open.ts';

export type OpenRegistry = {
  registry: Registry;
  storage: StorageDriver;
  /** A newer version wrote to this storage when it was opened, so this one may only read. */
  isReadOnly: boolean;
};

/**
 * Opens storage and what lies in it. `storage.close` ends it.
 * @param options.background does what no request waits for; without it another process has to
 * @param options.peers the other workers of the same server
 * @param options.driver of storage that is open already, in place of the configuration's
 * @param options.times of the collector; other than the defaults in tests only
 * @throws Error if storage cannot be used
 */
export async function openRegistry(
  config: Config,
  {
    log,
    background,
    driver,
    peers,
    times,
  }: { log: Log; background?: Background; driver?: StorageDriver; peers?: Peers; times?: CollectionTimes },
): Promise<OpenRegistry> {
  const opened = driver ?? (await openStorage(config.storage));
  const isReadOnly = !(await recordLayout(opened));
  const warn = () =>
    log.warning('a newer Stowage writes to this storage; this one is too old to, and serves reads only');
  if (isReadOnly) warn();
  const storage = isReadOnly ? readOnlyStorage(opened) : refuseOnceOutdated(opened, { onRefusal: warn });
  const registry = assembleRegistry(storage, {
    copiesLayers: config.v1Layers === 'copy',
    projectsLazily: config.v1Projection === 'lazy',
    indexChildren: config.indexChildren,
    isImmutable: immutabilityOf(config.immutableTags),
    unpackLimits: config.unpackLimits,
    times: times ?? { ...COLLECTION_TIMES, graceMs: config.gc.graceMs },
    v1Images: config.v1Images,
    retention: config.retention,
    quotas: { quotas: config.quotas, log },
    ...(background && { background }),
    ...(peers && { peers }),
  });
  return { registry, storage, isReadOnly };
}
