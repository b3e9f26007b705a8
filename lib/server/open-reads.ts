// Opens storage, and of the registry in it what pulls need.
import type { Background } from '../concurrency/background.ts';
import type { Peers } from '../concurrency/peers.ts';
import type { Config } from '../config/config.ts';
import { immutabilityOf } from '../config/immutable-tags.ts';
import type { Log } from '../model/log.ts';
import { recordLayout, refuseOnceOutdated } from '../registry/condemned/layout-record.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../registry/condemned/times.ts';
import { assembleReads, type RegistryReads, type RegistryReadsOptions } from '../registry/registry-reads.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { readOnlyStorage } from '../storage/guarded-writes.ts';
import { openStorage } from '../storage/open.ts';

export type OpenStorage = {
  storage: StorageDriver;
  /** A newer version wrote to this storage when it was opened, so this one may only read. */
  isReadOnly: boolean;
};

export type OpenReads = OpenStorage & {
  reads: RegistryReads;
  /** Of which `reads` is made, for the rest of the registry. */
  options: RegistryReadsOptions;
};

export type OpenReadsOptions = {
  log: Log;
  /** Does what no request waits for; without it another process has to. */
  background?: Background;
  /** Of storage that is open already, in place of the configuration's. */
  driver?: StorageDriver;
  /** The other workers of the same server. */
  peers?: Peers;
  /** Of the collector; other than the defaults in tests only. */
  times?: CollectionTimes;
};

/**
 * `storage.close` ends it.
 * @throws Error if storage cannot be used
 */
export async function openReads(
  config: Config,
  { log, background, driver, peers, times }: OpenReadsOptions,
): Promise<OpenReads> {
  const opened = driver ?? (await openStorage(config.storage));
  const isReadOnly = !(await recordLayout(opened));
  const warn = () =>
    log.warning('a newer Stowage writes to this storage; this one is too old to, and serves reads only');
  if (isReadOnly) warn();
  const storage = isReadOnly ? readOnlyStorage(opened) : refuseOnceOutdated(opened, { onRefusal: warn });
  const options: RegistryReadsOptions = {
    isImmutable: immutabilityOf(config.immutableTags),
    times: times ?? { ...COLLECTION_TIMES, graceMs: config.gc.graceMs },
    retention: config.retention,
    ...(background && { background }),
    ...(peers && { peers }),
  };
  return { reads: assembleReads(storage, options), options, storage, isReadOnly };
}
