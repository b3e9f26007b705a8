import { type Context, Hono } from 'hono';
import { NOT_CACHED } from '../../http/error-response.ts';
import { RegistryError } from '../../model/errors.ts';
import type { CollectionOutcome } from '../../registry/collector/collector.ts';
import { figuresOf } from '../../registry/collector/run-figures.ts';
import { type EndedRun, lastEnded } from '../../registry/collector/state.ts';
import type { OperationOptions } from './options.ts';

/** The most actions that a dry run lists. */
const MAX_LISTED = 10_000;

const PATH = '/gc';

const NO_COLLECTOR = 'this process runs no collector: run "stowage gc" with the configuration of this storage';

/**
 * The collector. `GET` tells of the run that is under way and of the last one. `POST` starts a run; with `dry_run=1` it tells at
 * the end what a run would do, and writes nothing.
 */
export const collectionRoutes = ({
  registry: { collections },
  gate,
  gc,
  startCollection,
  requestCollection,
}: OperationOptions) =>
  new Hono()
    .get(PATH, gate.allowOperation, async (c) => {
      const state = await collections.state();
      const { run, startedAt, stage, report } = state ?? {};
      const current = state && state.endedAt === undefined ? { run, startedAt, stage, report } : null;
      const ended = state && lastEnded(state);
      const last = ended ? { ...ended, ...figuresOf(ended) } : null;
      const { everyMs } = gc;
      const isScheduled = startCollection !== undefined && everyMs !== undefined;
      const nextAt = isScheduled ? nextRunAt(ended, everyMs, collections.nextCheckAt) : null;
      return c.json({ running: collections.progress ?? null, current, last, nextAt }, 200, NOT_CACHED);
    })

    .post(PATH, gate.allowRun(collectionOf), async (c) => {
      const isDryRun = isSet(c.req.query('dry_run'));
      if (!startCollection) {
        if (isDryRun || !requestCollection) throw new RegistryError('UNSUPPORTED', NO_COLLECTOR);
        await requestCollection();
        return c.json({ started: true }, 202, NOT_CACHED);
      }
      const started = startCollection(isDryRun ? { isDryRun, maxListed: MAX_LISTED, signal: c.req.raw.signal } : {});
      if (!started) throw new RegistryError('COLLECTION_RUNNING', 'this process collects already');
      if (isDryRun) return answerOutcome(c, await started.outcome);
      return c.json({ started: true }, 202, NOT_CACHED);
    });

/** What a `POST` asks for, as the audit log names it. */
export function collectionOf(c: Context): 'gc' | 'gc dry run' {
  return isSet(c.req.query('dry_run')) ? 'gc dry run' : 'gc';
}

/** When a run is due, but not before the schedule compares that with the clock; null if neither is known. */
function nextRunAt(ended: EndedRun | undefined, everyMs: number, nextCheckAt: Date | undefined): Date | null {
  const dueAt = ended && new Date(Date.parse(ended.endedAt) + everyMs);
  if (dueAt && nextCheckAt) return dueAt > nextCheckAt ? dueAt : nextCheckAt;
  return dueAt ?? nextCheckAt ?? null;
}

function answerOutcome(c: Context, outcome: CollectionOutcome) {
  if (outcome.kind === 'refused') throw new RegistryError('UNSUPPORTED', outcome.reason);
  return c.json(outcome, 200, NOT_CACHED);
}

function isSet(value: string | undefined): boolean {
  return value === '' || value === '1' || value === 'true';
}
