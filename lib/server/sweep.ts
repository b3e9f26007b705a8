import type { Log } from '../model/log.ts';
import { removeExpiredScraps } from '../registry/uploads/chunks.ts';
import type { StorageDriver } from '../storage/driver.ts';

const SWEEP_MS = 6 * 60 * 60 * 1000;

/**
 * Removes what expired uploads have left, now and every six hours: what a lifecycle rule does in a bucket.
 * @returns ends it
 */
export function sweepRegularly(storage: StorageDriver, log: Log): () => void {
  const run = () => void removeExpiredScraps(storage).catch((error) => log.warning('could not sweep', { error }));
  run();
  const timer = setInterval(run, SWEEP_MS).unref();
  return () => clearInterval(timer);
}
