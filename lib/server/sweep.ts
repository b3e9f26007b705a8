import type { Log } from '../model/log.ts';
import { sweepExpiredUploads } from '../registry/uploads/chunks.ts';
import type { StorageDriver } from '../storage/driver.ts';

const SWEEP_MS = 6 * 60 * 60 * 1000;

/**
 * Removes the objects of expired upload sessions now and every six hours, as a lifecycle rule does in a bucket.
 * @returns a function that stops the repetition
 */
export function sweepRegularly(storage: StorageDriver, log: Log): () => void {
  const run = () =>
    void sweepExpiredUploads(storage).catch((error) =>
      log.warning('objects of expired uploads could not be removed', { error }),
    );
  run();
  const timer = setInterval(run, SWEEP_MS).unref();
  return () => clearInterval(timer);
}
