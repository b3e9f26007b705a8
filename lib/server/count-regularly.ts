import { DAY_MS } from '../model/duration.ts';
import type { Log } from '../model/log.ts';
import type { Registry } from '../registry/registry.ts';

const MINUTE = 60_000;

/** After a start the process serves first. Processes that start together do not count together. */
const FIRST_PAUSE_MS = MINUTE;
const SPREAD_MS = 10 * MINUTE;

const CHECK_MS = 5 * MINUTE;
/** A scheduled collection counts usage itself after its end; one by hand does not. */
const COUNTED_AFTER_COLLECTION_MS = 60 * MINUTE;
const PAUSE_AFTER_FAILURE_MS = 60 * MINUTE;

/**
 * Starts a usage run, for the quotas, where the last one of any process was a day ago, or did not count each quota, or where a
 * collection ended an hour ago without one. Two storage requests for each look at these times.
 * @param times other than the defaults in tests only
 * @returns a function that stops the repetition, and a run at the next object
 */
export function countRegularly(
  {
    registry: { usage, quotas, collections },
    log,
  }: { registry: Pick<Registry, 'usage' | 'quotas' | 'collections'>; log: Log },
  { firstPauseMs = FIRST_PAUSE_MS, spreadMs = SPREAD_MS, checkMs = CHECK_MS } = {},
): () => Promise<void> {
  let timer: NodeJS.Timeout;
  let running: Promise<void> | undefined;
  let isStopped = false;

  const isDue = async (): Promise<boolean> => {
    const [countedAt, collector] = await Promise.all([quotas.countedAt(), collections.state()]);
    if (!countedAt || Date.now() - countedAt.getTime() >= DAY_MS) return true;
    if (collector?.endedAt === undefined) return false;
    const endedAtMs = Date.parse(collector.endedAt);
    return endedAtMs > countedAt.getTime() && Date.now() - endedAtMs >= COUNTED_AFTER_COLLECTION_MS;
  };
  const check = async (): Promise<void> => {
    try {
      if (await isDue()) {
        const onObject = () => {
          if (isStopped) throw new Error('the process stops');
        };
        const { overview } = await usage.run({ onObject });
        log.info('usage counted for the quotas', { repositories: overview.repositories, objects: overview.objects });
      }
      plan(checkMs);
    } catch (error) {
      if (!isStopped) log.warning('usage could not be counted: quotas go by the last run', { error });
      plan(PAUSE_AFTER_FAILURE_MS);
    }
  };
  const plan = (pauseMs: number) => {
    if (isStopped) return;
    timer = setTimeout(() => (running = check()), pauseMs + Math.random() * spreadMs).unref();
  };
  plan(firstPauseMs);
  return async () => {
    isStopped = true;
    clearTimeout(timer);
    await running;
  };
}
