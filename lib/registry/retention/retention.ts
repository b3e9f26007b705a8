import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { DAY_MS } from '../../model/duration.ts';
import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import { AS_JSON, type Condition, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { TagRestoration } from '../history/restore-tag.ts';
import type { TagHistory } from '../history/tag-history.ts';
import type { Catalog } from '../repositories/catalog.ts';
import type { TagDeletion } from '../tags/delete-tag.ts';
import type { Tags } from '../tags/tags.ts';
import { type ResolvedTag, targetOf } from '../tags/target.ts';
import { subjectOfTag } from './attached-tags.ts';
import { formatRule } from './format-rule.ts';
import {
  encodeTags,
  isPlanId,
  MAX_SKIPPED_NAMES,
  newPlanId,
  type PlannedTag,
  type PlanProgress,
  type PlanRecord,
  parsePlanRecord,
  planIdOf,
  readTags,
  type SkippedTag,
} from './plan-record.ts';
import type { TagPlanner } from './plan-tags.ts';
import type { PullRecords } from './pull-records.ts';
import { type RetentionRule, tagRulesFor, type UntaggedPolicy, untaggedPolicyOf } from './rules.ts';

/** Tags that are deleted, or restored, before the progress is written. */
const STEP = 500;

/** How long plans are kept at least, beyond the time in which they can be undone. */
const KEPT_MS = 30 * DAY_MS;

/** Called with the number of repositories, or of tags, that are done, and of all of them. */
export type OnProgress = (done: number, all: number) => void;

export type PlanOptions = {
  /** Who makes it: a caller's name, or `stowage`. */
  by: string;
  /** Other rules than those of the configuration, with their written form. */
  rules?: readonly RetentionRule[];
  onProgress?: OnProgress;
};

type ReadRecord = { record: PlanRecord; etag: ETag };

/** Makes plans by the rules of retention, and carries them out. It deletes tags and nothing else. */
export class Retention {
  readonly #storage: StorageDriver;
  readonly #catalog: Catalog;
  readonly #tags: Tags;
  readonly #tagDeletion: TagDeletion;
  readonly #history: TagHistory;
  readonly #restoration: TagRestoration;
  readonly #planner: TagPlanner;
  readonly #pulls: PullRecords;
  readonly #rules: readonly RetentionRule[];
  /** How long a deleted or overwritten tag can be restored, in milliseconds. */
  readonly undoMs: number;
  /** What the rules say of manifests that nothing refers to. */
  readonly untaggedPolicy: (repository: RepositoryName) => UntaggedPolicy;

  constructor(
    storage: StorageDriver,
    dependencies: {
      catalog: Catalog;
      tags: Tags;
      tagDeletion: TagDeletion;
      history: TagHistory;
      restoration: TagRestoration;
      planner: TagPlanner;
      pulls: PullRecords;
    },
    { rules, undoMs }: { rules: readonly RetentionRule[]; undoMs: number },
  ) {
    this.#storage = storage;
    this.#catalog = dependencies.catalog;
    this.#tags = dependencies.tags;
    this.#tagDeletion = dependencies.tagDeletion;
    this.#history = dependencies.history;
    this.#restoration = dependencies.restoration;
    this.#planner = dependencies.planner;
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
    const key = layout.retentionPlan(id);
    const counts = { repositories: 0, tags: 0, listed: 0, keep: 0, delete: 0 };
    const record: PlanRecord = { id, by, madeAt: new Date().toISOString(), rules: rules.map(formatRule), counts };
    await this.#write(record);
    const written = await this.#storage.head(key);
    if (!written) throw new Error(`${key} was removed while the plan was made`);
    const pullsSinceMs = await this.#pulls.recordedSince(rules);
    const clock = {
      nowMs: written.lastModified.getTime(),
      ...(pullsSinceMs !== undefined && { pullsSinceMs }),
    };
    const lines = encodeTags(this.#judgeAll(rules, { clock, counts, ...(onProgress && { onProgress }) }));
    await this.#storage.putStream(layout.retentionPlanTags(id), lines, { contentType: 'application/jsonl' });
    const finished = { ...record, madeAt: written.lastModified.toISOString(), finishedAt: new Date().toISOString() };
    await this.#write(finished);
    return finished;
  }

  /** What a plan would list, by the clock of this process. Stores nothing. The requests of `plan`, without three. */
  async *preview({ rules = this.#rules, onProgress }: Omit<PlanOptions, 'by'> = {}): AsyncGenerator<PlannedTag> {
    const pullsSinceMs = await this.#pulls.recordedSince(rules);
    const clock = { nowMs: Date.now(), ...(pullsSinceMs !== undefined && { pullsSinceMs }) };
    const counts = { repositories: 0, tags: 0, listed: 0, keep: 0, delete: 0 };
    yield* this.#judgeAll(rules, { clock, counts, ...(onProgress && { onProgress }) });
  }

  async *#judgeAll(
    rules: readonly RetentionRule[],
    {
      clock,
      counts,
      onProgress,
    }: { clock: { nowMs: number; pullsSinceMs?: number }; counts: PlanRecord['counts']; onProgress?: OnProgress },
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

  /** The records of all plans, oldest first. One storage request per 500 plans, and one for each. */
  async list(): Promise<PlanRecord[]> {
    const ids: string[] = [];
    for await (const { key } of this.#storage.list(layout.retentionPlans())) {
      const id = planIdOf(key);
      if (id !== undefined) ids.push(id);
    }
    const records = await mapConcurrently(ids, (id) => this.#find(id));
    return records.flatMap((found) => (found ? [found.record] : []));
  }

  /** One storage request. @throws RegistryError PLAN_UNKNOWN */
  async get(id: string): Promise<PlanRecord> {
    return (await this.#read(id)).record;
  }

  async #read(id: string): Promise<ReadRecord> {
    const found = await this.#find(id);
    if (!found) throw new RegistryError('PLAN_UNKNOWN', `there is no plan ${JSON.stringify(id.slice(0, 100))}`);
    return found;
  }

  async #find(id: string): Promise<ReadRecord | undefined> {
    if (!isPlanId(id)) return undefined;
    const key = layout.retentionPlan(id);
    const object = await this.#storage.read(key);
    return object && { record: parsePlanRecord(object.bytes, key), etag: object.info.etag };
  }

  /** The tags of a plan, in the order of their repositories. One storage request. */
  tagsOf({ id }: Pick<PlanRecord, 'id'>): AsyncIterable<PlannedTag> {
    return readTags(this.#storage, id);
  }

  /**
   * Deletes the tags that the plan lists for deletion, and no others. A tag stays if it has moved, or was pushed again, since the
   * plan was made, or is immutable by now; a tag attached to an image also if another tag reaches that image by now. An
   * application that was broken off goes on where it stopped. Two storage requests for each tag, and those of a deletion by a
   * client.
   * @throws RegistryError PLAN_UNKNOWN; UNSUPPORTED if the plan is not finished, or undone
   */
  async apply(id: string, { by, onProgress }: { by: string; onProgress?: OnProgress }): Promise<PlanRecord> {
    const found = await this.#read(id);
    const { record } = found;
    if (record.finishedAt === undefined) throw new RegistryError('UNSUPPORTED', `plan ${id} was never finished`);
    if (record.undone) throw new RegistryError('UNSUPPORTED', `plan ${id} is undone: make a new one`);
    if (record.applied?.finishedAt !== undefined) return record;
    return await this.#carryOut(found, 'applied', {
      by,
      run: (planned) => this.#deleteAll(planned, nameOfPlan(id)),
      ...(onProgress && { onProgress }),
    });
  }

  /**
   * Restores the tags that the plan has deleted. A tag stays as it is if it was set, or deleted by a caller, since. Three storage
   * requests for each tag, and those of `TagRestoration.restore`.
   * @throws RegistryError PLAN_UNKNOWN; UNSUPPORTED if the plan was not applied
   */
  async undo(id: string, { by, onProgress }: { by: string; onProgress?: OnProgress }): Promise<PlanRecord> {
    const found = await this.#read(id);
    if (!found.record.applied) throw new RegistryError('UNSUPPORTED', `plan ${id} was not applied`);
    if (found.record.undone?.finishedAt !== undefined) return found.record;
    return await this.#carryOut(found, 'undone', {
      by,
      run: (planned) => mapConcurrently(planned, (item) => this.#restore(item, { deletedBy: nameOfPlan(id), by })),
      ...(onProgress && { onProgress }),
    });
  }

  /** @returns why the tag is not restored; undefined if it is */
  async #restore(
    { repository, tag, digest }: PlannedTag,
    { deletedBy, by }: { deletedBy: string; by: string },
  ): Promise<string | undefined> {
    if (await this.#tags.find(repository, tag)) return 'there is such a tag';
    const { moves } = await this.#history.list(repository, tag, { size: 1 });
    const [newest] = moves;
    // The entry of a deletion is missing if the process ended before it was written, and then the newest is that of a push.
    if (newest && !newest.to && newest.by !== deletedBy) return `${newest.by ?? 'another caller'} has deleted it`;
    if (newest?.to && newest.to.digest !== digest) return 'it has moved since the plan was made';
    try {
      await this.#restoration.restore(repository, { tag, before: undefined, to: targetOf(digest) }, by);
      return undefined;
    } catch (error) {
      if (error instanceof RegistryError && error.code !== 'UNAVAILABLE') return error.message;
      throw error;
    }
  }

  async #deleteAll(planned: readonly PlannedTag[], by: string): Promise<(string | undefined)[]> {
    const isAttached = ({ tag }: PlannedTag) => subjectOfTag(tag) !== undefined;
    const outcomes = await mapConcurrently(planned, async (item) =>
      isAttached(item) ? undefined : await this.#delete(item, by),
    );
    // After the tags of their images, in the order of the repositories.
    for (const [repository, items] of Map.groupBy(planned.filter(isAttached), (item) => item.repository)) {
      const reasons = await this.#deleteAttached(repository, items, by);
      for (const [item, why] of reasons) outcomes[planned.indexOf(item)] = why;
    }
    return outcomes;
  }

  /** @returns why the tag stays; undefined if it is deleted */
  async #delete({ repository, tag, digest, lastModified }: PlannedTag, by: string): Promise<string | undefined> {
    const found = await this.#tags.find(repository, tag);
    if (!found) return 'there is no such tag any more';
    if (found.target.digest !== digest) return `it names ${found.target.digest} by now`;
    if (secondOf(found.lastModified) !== secondOf(new Date(lastModified))) return 'it was pushed again';
    if (this.#tags.isImmutable(repository, tag)) return 'it is immutable';
    return (await this.#tagDeletion.deleteResolved(repository, found, by)) ? undefined : 'it has just moved';
  }

  /** Deletes attached tags, but those whose image has got another tag since. */
  async #deleteAttached(
    repository: RepositoryName,
    planned: readonly PlannedTag[],
    by: string,
  ): Promise<Map<PlannedTag, string | undefined>> {
    const all = await this.#tags.resolveAll(repository);
    const isAttached = ({ tag }: ResolvedTag) => subjectOfTag(tag) !== undefined;
    const verdicts = await this.#planner.judgeAttached(repository, {
      attached: all.filter(isAttached),
      staying: all.filter((tag) => !isAttached(tag)),
      deleted: [],
      nowMs: Date.now(),
    });
    const reasons = await mapConcurrently(planned, async (item) => {
      const verdict = verdicts.get(item.tag);
      return [item, verdict?.isImageTagged ? verdict.reason : await this.#delete(item, by)] as const;
    });
    return new Map(reasons);
  }

  /** Goes through the tags that are to be deleted, a step at a time, and records how far it has come. */
  async #carryOut(
    { record, etag }: ReadRecord,
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
      const written = await this.#write(current, { ifMatch: before });
      if (written === undefined)
        throw new RegistryError('UNAVAILABLE', `another process carries out plan ${record.id}`);
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
    for await (const planned of this.tagsOf(record)) {
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

  /** Ends the recording of pulls that no rule asks for any more. One storage request, or two. */
  async forgetPulls(): Promise<void> {
    await this.#pulls.recordedSince(this.#rules);
  }

  /** Deletes plans that can no longer be undone and are older than 30 days. One storage request per 500 plans, two for each. */
  async prune(): Promise<void> {
    const oldest = Date.now() - Math.max(KEPT_MS, this.undoMs);
    for await (const { key, lastModified } of this.#storage.list(layout.retentionPlans())) {
      if (lastModified.getTime() < oldest) await this.#storage.delete(key);
    }
  }

  async #write(record: PlanRecord, condition: Condition = {}): Promise<ETag | undefined> {
    const bytes = encodeText(`${JSON.stringify(record, null, 2)}
`);
    return await this.#storage.put(layout.retentionPlan(record.id), bytes, { ...AS_JSON, ...condition });
  }
}

/** As the history names a plan that has deleted a tag. */
function nameOfPlan(id: string): string {
  return `retention plan ${id}`;
}

/** Listings have LastModified to the millisecond, headers to the second. */
function secondOf(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
