import { RegistryError } from '../../model/errors.ts';
import {
  MAX_SKIPPED_NAMES,
  type PlannedTag,
  type PlanProgress,
  type PlanRecord,
  type SkippedTag,
} from './plan-record.ts';
import type { Plans, StoredPlan } from './plans.ts';

/** Tags that are deleted, or restored, before the progress is written. */
const STEP = 500;

/** Called with the number of repositories, or of tags, that are done, and of all of them. */
export type OnProgress = (done: number, all: number) => void;

/**
 * Goes through the tags that are to be deleted, a step at a time, and records how far it has come.
 * @throws RegistryError UNAVAILABLE if another process does the same
 */
export async function carryOut(
  plans: Plans,
  { record, etag }: StoredPlan,
  field: 'applied' | 'undone',
  {
    by,
    run,
    onProgress,
  }: {
    by: string;
    /** @returns for each tag why it was left as it is, if so */
    run: (tags: readonly PlannedTag[]) => Promise<(string | undefined)[]>;
    onProgress?: OnProgress;
  },
): Promise<PlanRecord> {
  const start: PlanProgress = {
    by,
    startedAt: new Date().toISOString(),
    position: 0,
    done: 0,
    skippedCount: 0,
    skipped: [],
  };
  const progress = record[field] ?? start;
  let current: PlanRecord = { ...record, [field]: progress };
  let before = etag;
  const write = async () => {
    const written = await plans.write(current, { ifMatch: before });
    if (written === undefined) throw new RegistryError('UNAVAILABLE', `another process carries out plan ${record.id}`);
    before = written;
  };
  await write();
  const step = async (tags: readonly PlannedTag[], position: number) => {
    const outcomes = await run(tags);
    const skipped = tags.flatMap(({ repository, tag }, index): SkippedTag[] => {
      const why = outcomes[index];
      return why === undefined ? [] : [{ repository, tag, why }];
    });
    const sofar = current[field] ?? start;
    const after: PlanProgress = {
      ...sofar,
      position,
      done: sofar.done + tags.length - skipped.length,
      skippedCount: sofar.skippedCount + skipped.length,
      skipped: [...sofar.skipped, ...skipped].slice(0, MAX_SKIPPED_NAMES),
    };
    current = { ...current, [field]: after };
    await write();
    onProgress?.(after.done + after.skippedCount, record.counts.delete);
  };
  let position = 0;
  let waiting: PlannedTag[] = [];
  for await (const planned of plans.tagsOf(record)) {
    position++;
    if (position <= progress.position || planned.verdict === 'keep') continue;
    // The tags of a repository are not divided: what is attached to an image follows the tags of the image.
    if (waiting.length >= STEP && waiting.at(-1)?.repository !== planned.repository) {
      await step(waiting, position - 1);
      waiting = [];
    }
    waiting.push(planned);
  }
  await step(waiting, position);
  const ended = { ...(current[field] ?? start), finishedAt: new Date().toISOString() };
  current = { ...current, [field]: ended };
  await write();
  return current;
}
