import type { Config } from '../../config/config.ts';
import type { CollectionOutcome } from '../../registry/collector/collector.ts';
import type { CollectedKind, CollectorAction, Count, ReportDocument } from '../../registry/collector/report.ts';
import { MiB } from '../../streams/bytes.ts';
import { openForCommand } from './open-for-command.ts';
import { progressOf } from './progress.ts';

export type RunGcOptions = { dryRun: boolean; json: boolean };

/** The most actions that are listed. */
const MAX_LISTED = 100_000;

/** Past and conditional form of each action. */
const DONE: Record<CollectorAction, string> = {
  condemn: 'condemned',
  revive: 'revived',
  remove: 'removed',
  mark: 'marked',
  merge: 'merged',
  add: 'added',
  prune: 'pruned',
};

/**
 * Runs the collector in this process. Beside a server that serves the same storage it is as safe as another server: writes on
 * condition hold for all processes, also on disk (`storage/file-locks.ts`).
 * @throws Error if nothing may be collected
 */
export async function collectGarbage(
  config: Config,
  { dryRun, json }: RunGcOptions,
): Promise<CollectionOutcome['kind']> {
  const started = performance.now();
  const { registry, location, close } = await openForCommand(config, { writes: !dryRun });
  const progress = progressOf(dryRun ? 'looking through' : 'collecting:');
  const { signal, release } = abortOnSignals();
  try {
    const collection = registry.collections.start({
      ...{ isDryRun: dryRun, signal },
      ...((json || dryRun) && { maxListed: MAX_LISTED }),
      onProgress: (_, report) => progress.add('objects', report.objectsListed - progress.count('objects')),
    });
    const outcome = await collection?.outcome;
    if (!outcome) throw new Error('a collection runs in this process');
    progress.stop();
    if (outcome.kind === 'refused') throw new Error(`nothing is collected: ${outcome.reason}`);
    const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
    if (json) console.log(JSON.stringify({ ...outcome, dryRun, seconds }));
    else if (outcome.kind === 'busy')
      console.log(`another process works on a run since ${outcome.since.toISOString()}`);
    else print(outcome, { dryRun, seconds, location });
    return outcome.kind;
  } finally {
    release();
    progress.stop();
    await close();
  }
}

/** The first SIGINT or SIGTERM aborts; a second one ends the process, as it does without this. */
function abortOnSignals(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const abort = () => {
    console.error('stopping at the next checkpoint');
    controller.abort();
    release();
  };
  const release = () => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, abort);
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, abort);
  return { signal: controller.signal, release };
}

type Ended = Extract<CollectionOutcome, { report: ReportDocument }>;

function print(
  { kind, report }: Ended,
  { dryRun, seconds, location }: { dryRun: boolean; seconds: number; location: string },
): void {
  const { list, listed, unknown, problems } = report;
  if (dryRun) {
    for (const { action, kind: what, key, reason } of list?.actions ?? []) {
      console.log(`${action} ${what} ${key}${reason === undefined ? '' : `: ${reason}`}`);
    }
    if (list && !list.isComplete) console.log(`and more: only the first ${MAX_LISTED} are listed`);
  }
  for (const sample of problems.samples) console.error(`left as it is: ${sample}`);
  for (const sample of unknown.samples) console.error(`left as it is, since Stowage has no such key: ${sample}`);
  const done = sentencesOf(report);
  const what = done.length === 0 ? 'nothing to do' : done.join(', ');
  const end = kind === 'complete' ? '' : `; ${kind}: the next run goes on from here`;
  console.log(
    `${dryRun ? 'a run would have: ' : ''}${listed} objects listed; ${what}; ${seconds} s, in ${location}${end}`,
  );
}

/** `removed 3 links`, `removed 2 bytes (14 MiB)` */
function sentencesOf({ actions }: ReportDocument): string[] {
  return Object.entries(actions).flatMap(([action, kinds]) =>
    Object.entries(kinds).map(([kind, { count, bytes }]: [string, Count]) => {
      const size = bytes === 0 ? '' : ` (${(bytes / MiB).toFixed(1)} MiB)`;
      return `${DONE[action as CollectorAction]} ${count} ${NOUNS[kind as CollectedKind]}${size}`;
    }),
  );
}

const NOUNS: Record<CollectedKind, string> = {
  manifest: 'manifests',
  link: 'links',
  referrer: 'referrer entries',
  history: 'history entries',
  facts: 'facts',
  pull: 'markers of pulls',
  usage: 'usage figures',
  bytes: 'blobs',
  pointer: 'pointers',
  mark: 'marks',
  'unnamed data': 'unfinished blobs',
  image: 'v1 images',
  grant: 'grants',
  scrap: 'remains of uploads',
  'index images': 'lists of v1 images',
  'tag metadata': 'tag metadata',
  collector: "objects of the collector's own",
};
