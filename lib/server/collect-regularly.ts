import type { Log, LogFields } from '../model/log.ts';
import type { Collections } from '../registry/collector/collections.ts';
import type { CollectionOutcome, CollectOptions } from '../registry/collector/collector.ts';
import type { ReportDocument } from '../registry/collector/report.ts';
import { figuresOf } from '../registry/collector/run-figures.ts';
import type { StartCollection } from '../v2/stowage/options.ts';
import type { AroundCollection } from './around-collection.ts';

const MINUTE = 60_000;

/** After a start the process serves first. Processes that start together do not collect together. */
const FIRST_PAUSE_MS = MINUTE;
const SPREAD_MS = 10 * MINUTE;

/** How often the time of the next run is compared with the clock. */
const CHECK_MS = 5 * MINUTE;

/** After a run that failed, and where nothing may be collected. */
const PAUSE_AFTER_FAILURE_MS = 60 * MINUTE;

/**
 * Starts collections of this process, with their end in the log.
 * @param everyMs of the schedule of this process, if it has one
 */
export function loggedStart(collections: Collections, log: Log, everyMs?: number): StartCollection {
  return (options: CollectOptions = {}) => {
    const started = collections.start(options);
    if (!started || options.isDryRun) return started;
    void started.outcome.then(
      (outcome) => logOutcome(log, outcome, everyMs),
      (error) => log.error('collection failed: it goes on from its last checkpoint in the next run', { error }),
    );
    return started;
  };
}

function logOutcome(log: Log, outcome: CollectionOutcome, everyMs: number | undefined): void {
  switch (outcome.kind) {
    case 'refused':
      log.warning('nothing is collected', { reason: outcome.reason });
      break;
    case 'busy':
      log.debug('another process collects', { run: outcome.run });
      break;
    default:
      log.info(`collection ${outcome.kind}`, {
        run: outcome.run,
        ...figuresOf({ ...outcome, endedAt: new Date() }),
        ...countsOf(outcome.report),
        ...(outcome.kind === 'complete' && everyMs !== undefined && { nextAt: new Date(Date.now() + everyMs) }),
      });
  }
}

function countsOf({ listed, actions, unknown, problems }: ReportDocument): LogFields {
  return { listed, ...actions, unknown: unknown.count, problems: problems.count };
}

/** Other than the defaults in tests only. */
export type ScheduleTimes = { firstPauseMs?: number; spreadMs?: number; checkMs?: number };

/**
 * Starts a collection whenever the last one, of any process, ended `everyMs` ago. When that was is read from storage, so that
 * a restart neither skips nor repeats a run.
 * @param start as `loggedStart` makes it
 * @returns a function that stops the repetition; `Collections.stop` ends a run
 */
export function collectRegularly(
  {
    collections,
    start,
    around,
    log,
    everyMs,
  }: { collections: Collections; start: StartCollection; around: AroundCollection; log: Log; everyMs: number },
  { firstPauseMs = FIRST_PAUSE_MS, spreadMs = SPREAD_MS, checkMs = CHECK_MS }: ScheduleTimes = {},
): () => void {
  let timer: NodeJS.Timeout;
  const collectIfDue = async (): Promise<CollectionOutcome['kind'] | 'not due' | 'failed'> => {
    try {
      const { endedAt } = (await collections.state()) ?? {};
      const isDue = endedAt === undefined || Date.now() - Date.parse(endedAt) >= everyMs;
      if (!isDue) return 'not due';
    } catch (error) {
      log.warning('the state of the collector could not be read', { error });
      return 'failed';
    }
    await around.before();
    const outcome = await start()?.outcome.catch(() => undefined); // the error is logged
    if (outcome?.kind === 'complete') await around.after();
    return outcome?.kind ?? 'failed';
  };
  const check = async () => {
    collections.nextCheckAt = undefined;
    const outcome = await collectIfDue();
    plan(outcome === 'failed' || outcome === 'refused' ? PAUSE_AFTER_FAILURE_MS : checkMs);
  };
  let isStopped = false;
  const plan = (pauseMs: number) => {
    if (isStopped) return;
    const waitMs = pauseMs + Math.random() * spreadMs;
    collections.nextCheckAt = new Date(Date.now() + waitMs);
    timer = setTimeout(() => void check(), waitMs).unref();
  };
  plan(firstPauseMs);
  return () => {
    isStopped = true;
    collections.nextCheckAt = undefined;
    clearTimeout(timer);
  };
}
