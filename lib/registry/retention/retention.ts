import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { DAY_MS } from '../../model/duration.ts';
import { RegistryError } from '../../model/errors.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { Catalog } from '../repositories/catalog.ts';
import { carryOut, type OnProgress } from './carry-out-plan.ts';
import { formatRule } from './format-rule.ts';
import { type DeletedTag, newPlanId, type PlannedTag, type PlanRecord } from './plan-record.ts';
import type { TagPlanner } from './plan-tags.ts';
import type { PlannedTags } from './planned-tags.ts';
import type { Plans } from './plans.ts';
import type { PullRecords } from './pull-records.ts';
import { type RetentionRule, tagRulesFor, type UntaggedPolicy, untaggedPolicyOf } from './rules.ts';

/** How long plans are kept at least, beyond the time in which they can be undone. */
const KEPT_MS = 30 * DAY_MS;

export type PlanOptions = {
  /** Who makes it: a caller's name, or `stowage`. */
  by: string;
  /** Other rules than those of the configuration, with their written form. */
  rules?: readonly RetentionRule[];
  onProgress?: OnProgress;
};

/** `pullsSinceMs`: since when pulls have been recorded, if a rule needs them. */
type Clock = { nowMs: number; pullsSinceMs?: number };

/** Makes plans by the rules of retention, and carries them out. It deletes tags and nothing else. */
export class Retention {
  readonly plans: Plans;
  readonly #catalog: Catalog;
  readonly #planner: TagPlanner;
  readonly #plannedTags: PlannedTags;
  readonly #pulls: PullRecords;
  readonly #rules: readonly RetentionRule[];
  /** How long a deleted or overwritten tag can be restored, in milliseconds. */
  readonly undoMs: number;
  /** What the rules say of manifests that nothing refers to. */
  readonly untaggedPolicy: (repository: RepositoryName) => UntaggedPolicy;

  constructor(
    dependencies: {
      plans: Plans;
      catalog: Catalog;
      planner: TagPlanner;
      plannedTags: PlannedTags;
      pulls: PullRecords;
    },
    { rules, undoMs }: { rules: readonly RetentionRule[]; undoMs: number },
  ) {
    this.plans = dependencies.plans;
    this.#catalog = dependencies.catalog;
    this.#planner = dependencies.planner;
    this.#plannedTags = dependencies.plannedTags;
    this.#pulls = dependencies.pulls;
    this.#rules = rules;
    this.undoMs = undoMs;
    this.untaggedPolicy = untaggedPolicyOf(rules);
  }

  /** Whether a rule may delete tags. */
  get hasTagRules(): boolean {
    return this.#rules.some((rule) => !('untagged' in rule));
  }

  /**
   * Makes a plan and stores it; deletes nothing. One repository is in memory at a time. Ages count from the storage's own clock.
   * Five storage requests, and those of `TagPlanner` for each repository that a rule matches.
   */
  async plan({ by, rules = this.#rules, onProgress }: PlanOptions): Promise<PlanRecord> {
    const id = newPlanId(randomUUID(), new Date());
    const counts = { repositories: 0, tags: 0, listed: 0, keep: 0, delete: 0 };
    const record: PlanRecord = { id, by, madeAt: new Date().toISOString(), rules: rules.map(formatRule), counts };
    await this.plans.write(record);
    const madeAt = await this.plans.writtenAt(id);
    const clock = await this.#clockAt(madeAt.getTime(), rules);
    await this.plans.writeTags(id, this.#judgeAll(rules, { clock, counts, ...(onProgress && { onProgress }) }));
    const finished = { ...record, madeAt: madeAt.toISOString(), finishedAt: new Date().toISOString() };
    await this.plans.write(finished);
    return finished;
  }

  /** What a plan would list, by the clock of this process. Stores nothing. The requests of `plan`, without three. */
  async *preview({ rules = this.#rules, onProgress }: Omit<PlanOptions, 'by'> = {}): AsyncGenerator<PlannedTag> {
    const clock = await this.#clockAt(Date.now(), rules);
    const counts = { repositories: 0, tags: 0, listed: 0, keep: 0, delete: 0 };
    yield* this.#judgeAll(rules, { clock, counts, ...(onProgress && { onProgress }) });
  }

  async #clockAt(nowMs: number, rules: readonly RetentionRule[]): Promise<Clock> {
    const pullsSinceMs = await this.#pulls.recordedSince(rules);
    return { nowMs, ...(pullsSinceMs !== undefined && { pullsSinceMs }) };
  }

  async *#judgeAll(
    rules: readonly RetentionRule[],
    { clock, counts, onProgress }: { clock: Clock; counts: PlanRecord['counts']; onProgress?: OnProgress },
  ): AsyncGenerator<PlannedTag> {
    const repositories = await this.#catalog.all();
    for (const [index, repository] of repositories.entries()) {
      onProgress?.(index, repositories.length);
      const matching = tagRulesFor(rules, repository);
      if (matching.length === 0) continue;
      counts.repositories++;
      for (const { resolved, verdict } of await this.#planner.judge(repository, matching, clock)) {
        counts.tags++;
        if (verdict.keep && verdict.reason === 'no rule') continue;
        counts.listed++;
        counts[verdict.keep ? 'keep' : 'delete']++;
        yield {
          repository,
          tag: resolved.tag,
          digest: resolved.target.digest,
          etag: resolved.etag,
          lastModified: resolved.lastModified.toISOString(),
          verdict: verdict.keep ? 'keep' : 'delete',
          reason: verdict.reason,
        };
      }
    }
    onProgress?.(repositories.length, repositories.length);
  }

  /**
   * Deletes the tags that the plan lists for deletion, and no others. A tag stays if it has moved, or was pushed again, since the
   * plan was made, or is immutable by now; a tag attached to an image also if another tag reaches that image by now. An
   * application that was broken off goes on where it stopped. Two storage requests for each tag, and those of a deletion by a
   * client.
   * @param options.onDeleted is called for each tag, once it is deleted
   * @throws RegistryError PLAN_UNKNOWN; UNSUPPORTED if the plan is not finished, or undone
   */
  async apply(
    id: string,
    {
      by,
      onProgress,
      onDeleted = () => {},
    }: { by: string; onProgress?: OnProgress; onDeleted?: (deleted: DeletedTag) => void },
  ): Promise<PlanRecord> {
    const found = await this.plans.read(id);
    const { record } = found;
    if (record.finishedAt === undefined) throw new RegistryError('UNSUPPORTED', `plan ${id} was never finished`);
    if (record.undone) throw new RegistryError('UNSUPPORTED', `plan ${id} is undone: make a new one`);
    if (record.applied?.finishedAt !== undefined) return record;
    return await carryOut(this.plans, found, 'applied', {
      by,
      run: (planned) =>
        this.#plannedTags.deleteAll(planned, {
          by: nameOfPlan(id),
          onDeleted: ({ repository, tag, digest }) => onDeleted({ repository, tag, digest, plan: id }),
        }),
      ...(onProgress && { onProgress }),
    });
  }

  /**
   * Restores the tags that the plan has deleted. A tag stays as it is if it was set, or deleted by a caller, since. Three storage
   * requests for each tag, and those of `TagRestoration.restore`.
   * @throws RegistryError PLAN_UNKNOWN; UNSUPPORTED if the plan was not applied
   */
  async undo(id: string, { by, onProgress }: { by: string; onProgress?: OnProgress }): Promise<PlanRecord> {
    const found = await this.plans.read(id);
    if (!found.record.applied) throw new RegistryError('UNSUPPORTED', `plan ${id} was not applied`);
    if (found.record.undone?.finishedAt !== undefined) return found.record;
    return await carryOut(this.plans, found, 'undone', {
      by,
      run: (planned) =>
        mapConcurrently(planned, (item) => this.#plannedTags.restore(item, { deletedBy: nameOfPlan(id), by })),
      ...(onProgress && { onProgress }),
    });
  }

  /** Ends the recording of pulls that no rule asks for any more. One storage request, or two. */
  async forgetPulls(): Promise<void> {
    await this.#pulls.recordedSince(this.#rules);
  }

  /** Deletes plans that can no longer be undone and are older than 30 days. One storage request per 500 plans, two for each. */
  async prune(): Promise<void> {
    await this.plans.prune(Date.now() - Math.max(KEPT_MS, this.undoMs));
  }
}

/** As the history names a plan that has deleted a tag. */
function nameOfPlan(id: string): string {
  return `retention plan ${id}`;
}
