import { layout } from '../../model/layout.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { readLayoutRecord } from '../condemned/layout-record.ts';
import type { CollectionTimes } from '../condemned/times.ts';

/** The oldest layout whose writers look at what the collector has condemned. */
const MIN_WRITER = 2;

/**
 * Why nothing may be collected in this storage; undefined if it may. Two storage requests, and those of `now`.
 * @param options.now the time by the clock of storage, asked for only where older programs may still write
 * @param options.notBefore a time of that clock that has passed, such as that of the last run
 */
export async function findObstacle(
  storage: StorageDriver,
  { times, now, notBefore }: { times: CollectionTimes; now: () => Promise<Date>; notBefore: Date | undefined },
): Promise<string | undefined> {
  const record = await readLayoutRecord(storage);
  if (!record) return 'Stowage has not written to this storage yet: there is no oci/layout.json';
  if (record.minWriter < MIN_WRITER) {
    return `an older version of Stowage may write to this storage: its layout record has minWriter ${record.minWriter}`;
  }
  const safeAt = record.minWriterSince && new Date(record.minWriterSince.getTime() + times.oldWritersMs);
  const isSafe = safeAt === undefined || (notBefore && notBefore >= safeAt) || (await now()) >= safeAt;
  if (!isSafe) {
    return `an older version of Stowage may still write to this storage: nothing is collected until ${safeAt.toISOString()}`;
  }
  for await (const { key } of storage.list(layout.outdatedDigestMarkers())) {
    return `this storage holds bytes of an older layout (${key}): run "stowage fsck --repair" first`;
  }
  return undefined;
}
