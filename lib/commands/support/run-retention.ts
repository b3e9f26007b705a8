import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { Presets, SingleBar } from 'cli-progress';
import type { Config } from '../../config/config.ts';
import { readRetentionRules } from '../../config/retention-file.ts';
import type { OnProgress } from '../../registry/retention/carry-out-plan.ts';
import type { PlannedTag, PlanProgress, PlanRecord } from '../../registry/retention/plan-record.ts';
import type { Retention } from '../../registry/retention/retention.ts';
import { openForCommand } from './open-for-command.ts';

type Output = { json: boolean; dryRun: boolean };

/** Makes a plan and prints its tags. @throws Error if storage or the rules cannot be used */
export async function plan(config: Config, { json, dryRun, rules: file }: Output & { rules?: string }): Promise<void> {
  const rules = file === undefined ? config.retention.rules : readRetentionRules(file, await readFile(file, 'utf8'));
  if (rules.length === 0) throw new Error(`there are no rules in ${config.file}: add retention.rules, or use --rules`);
  await withRetention(config, { writes: !dryRun }, async (retention) => {
    if (dryRun) {
      await printTags(
        withBar('repositories', (onProgress) => retention.preview({ rules, onProgress })),
        { json },
      );
      return;
    }
    const record = await withBar('repositories', (onProgress) => retention.plan({ by: OPERATOR, rules, onProgress }));
    await printTags(retention.plans.tagsOf(record), { json });
    printRecord(record, json);
    if (!json && record.counts.delete > 0) console.log(`stowage retention apply ${record.id} deletes them`);
  });
}

/**
 * Applies a plan, or makes one and applies it.
 * @returns the number of tags of the plan that were not deleted
 */
export async function apply(
  config: Config,
  { id, json, dryRun }: Output & { id: string | undefined },
): Promise<number> {
  return await withRetention(config, { writes: !dryRun }, async (retention) => {
    if (dryRun) {
      const tags =
        id === undefined ? retention.preview() : retention.plans.tagsOf((await retention.plans.read(id)).record);
      await printTags(tags, { json, only: 'delete' });
      return 0;
    }
    const made = id ?? (await withBar('repositories', (onProgress) => retention.plan({ by: OPERATOR, onProgress }))).id;
    const record = await withBar('tags', (onProgress) => retention.apply(made, { by: OPERATOR, onProgress }));
    printOutcome(record, record.applied, { json, verb: 'deleted' });
    return record.applied?.skippedCount ?? 0;
  });
}

/** Restores what a plan has deleted. @returns the number of tags of the plan that were not restored */
export async function undo(config: Config, { id, json, dryRun }: Output & { id: string }): Promise<number> {
  return await withRetention(config, { writes: !dryRun }, async (retention) => {
    if (dryRun) {
      await printTags(retention.plans.tagsOf((await retention.plans.read(id)).record), { json, only: 'delete' });
      return 0;
    }
    const record = await withBar('tags', (onProgress) => retention.undo(id, { by: OPERATOR, onProgress }));
    printOutcome(record, record.undone, { json, verb: 'restored' });
    return record.undone?.skippedCount ?? 0;
  });
}

/** Prints all plans, oldest first. */
export async function list(config: Config, { json }: { json: boolean }): Promise<void> {
  await withRetention(config, { writes: false }, async (retention) => {
    for (const record of await retention.plans.list()) printRecord(record, json);
  });
}

/** As plans and the history name the operator of this machine. */
const OPERATOR = `stowage (${userInfo().username})`;

async function withRetention<T>(
  config: Config,
  options: { writes: boolean },
  use: (retention: Retention) => Promise<T>,
): Promise<T> {
  const { registry, close } = await openForCommand(config, options);
  try {
    return await use(registry.retention);
  } finally {
    await close();
  }
}

/** Shows progress on a terminal while `use` runs. An iteration is not over when `use` returns: its bar ends with the process. */
function withBar<T>(what: string, use: (onProgress: OnProgress) => T): T {
  const format = `${what} {bar} {percentage}% | {value}/{total} | {eta_formatted} left`;
  const bar = new SingleBar({ format, clearOnComplete: true }, Presets.shades_classic);
  let isShown = false;
  const onProgress: OnProgress = (done, all) => {
    if (!process.stderr.isTTY) return;
    if (!isShown) bar.start(all, done);
    isShown = true;
    bar.update(done);
    if (done >= all) bar.stop();
  };
  return use(onProgress);
}

async function printTags(
  tags: AsyncIterable<PlannedTag>,
  { json, only }: { json: boolean; only?: PlannedTag['verdict'] },
): Promise<void> {
  for await (const planned of tags) {
    const { repository, tag, verdict, reason } = planned;
    if (only !== undefined && verdict !== only) continue;
    console.log(json ? JSON.stringify(planned) : `${verdict.padEnd(6)}  ${repository}:${tag}  ${reason}`);
  }
}

function printRecord(record: PlanRecord, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(record));
    return;
  }
  const { id, madeAt, by, counts } = record;
  const tags = `${counts.tags} tags in ${counts.repositories} repositories: ${counts.delete} to delete`;
  console.log(`plan ${id}, ${madeAt}, by ${by}: ${tags}${stateOf(record)}`);
}

function stateOf({ finishedAt, applied, undone }: PlanRecord): string {
  if (finishedAt === undefined) return ', not finished';
  const shown = (progress: PlanProgress, verb: string) =>
    `, ${progress.done} ${verb}${progress.finishedAt === undefined ? ' so far' : ''}`;
  return `${applied ? shown(applied, 'deleted') : ''}${undone ? shown(undone, 'restored') : ''}`;
}

function printOutcome(
  record: PlanRecord,
  progress: PlanProgress | undefined,
  { json, verb }: { json: boolean; verb: string },
): void {
  if (json) {
    console.log(JSON.stringify(record));
    return;
  }
  const { done = 0, skippedCount = 0, skipped = [] } = progress ?? {};
  for (const { repository, tag, why } of skipped) console.log(`left alone: ${repository}:${tag}, ${why}`);
  if (skippedCount > skipped.length) console.log(`and ${skippedCount - skipped.length} more`);
  console.log(`plan ${record.id}: ${done} tags ${verb}, ${skippedCount} left alone`);
}
