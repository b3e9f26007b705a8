import { layout } from '../model/layout.ts';
import type { Log } from '../model/log.ts';
import { COLLECTION_TIMES } from '../registry/condemned/times.ts';
import type { StorageDriver } from '../storage/driver.ts';

const MINUTE = 60_000;
const EVERY_MS = 6 * 60 * MINUTE;

/**
 * Deletes what uploads that were abandoned have left in `oci/uploads/`, two days after its last change: an upload session lives
 * for one. For servers without a schedule of the collector, which does the same. One storage request per 1,000 remains, and one
 * for each that is old.
 * @param times other than the defaults in tests only
 * @returns a function that stops the repetition
 */
export function clearRemainsRegularly(
  { storage, log }: { storage: StorageDriver; log: Log },
  { firstPauseMs = MINUTE, everyMs = EVERY_MS, maxAgeMs = COLLECTION_TIMES.minAgeMs } = {},
): () => void {
  let isStopped = false;
  let timer: NodeJS.Timeout;
  const clear = async () => {
    try {
      for await (const { key, lastModified } of storage.list(layout.uploadScraps())) {
        if (isStopped) return;
        if (Date.now() - lastModified.getTime() >= maxAgeMs) await storage.delete(key);
      }
    } catch (error) {
      log.warning('remains of uploads could not be deleted', { error });
    }
    plan(everyMs);
  };
  const plan = (pauseMs: number) => {
    if (!isStopped) timer = setTimeout(() => void clear(), pauseMs).unref();
  };
  plan(firstPauseMs);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
