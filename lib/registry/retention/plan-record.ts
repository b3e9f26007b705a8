// A plan in storage: a record with its state, and a list of tags. Both are JSON; the list has one tag on each line.
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { ETag, StorageDriver } from '../../storage/driver.ts';
import { encodeText, MiB } from '../../streams/bytes.ts';
import { linesOf } from '../../streams/lines.ts';

/** A tag as the plan found it, and what the rules say. */
export type PlannedTag = {
  repository: RepositoryName;
  tag: Tag;
  digest: Digest;
  etag: ETag;
  /** LastModified of the tag, in ISO 8601. */
  lastModified: string;
  verdict: 'keep' | 'delete';
  reason: string;
};

/** A tag that the plan of this id has deleted. */
export type DeletedTag = Pick<PlannedTag, 'repository' | 'tag' | 'digest'> & { plan: string };

/** A tag that was to be deleted and was not, with the reason. */
export type SkippedTag = Pick<PlannedTag, 'repository' | 'tag'> & { why: string };

/** How far a plan is carried out, or taken back. */
export type PlanProgress = {
  by: string;
  /** In ISO 8601, as all times here. */
  startedAt: string;
  finishedAt?: string;
  /** How many tags of the list are done with. */
  position: number;
  /** Tags that were deleted, or restored. */
  done: number;
  /** Tags that were left as they are. `skipped` names the first 1,000 of them. */
  skippedCount: number;
  skipped: SkippedTag[];
};

export type PlanRecord = {
  id: string;
  by: string;
  madeAt: string;
  /** Absent while the plan is being made, and if that was broken off. */
  finishedAt?: string;
  /** As an operator writes them. */
  rules: unknown[];
  /** `tags` counts those in repositories with a rule, `listed` those that a rule is about. */
  counts: { repositories: number; tags: number; listed: number; keep: number; delete: number };
  applied?: PlanProgress;
  undone?: PlanProgress;
};

/** `20261127T113051204Z-1f0c2a9b`: plans are listed in the order in which they were made. */
const PLAN_ID = /^\d{8}T\d{9}Z-[a-f0-9]{8}$/;

export function isPlanId(text: string): boolean {
  return PLAN_ID.test(text);
}

export function newPlanId(uuid: string, at: Date): string {
  return `${at.toISOString().replaceAll(/[-:.]/g, '')}-${uuid.slice(0, 8)}`;
}

/** The inverse of `layout.retentionPlan`; `undefined` for any other key. */
export function planIdOf(key: Key): string | undefined {
  const [, id] = /^(.+)\.json$/.exec(lastPartOf(key)) ?? [];
  return id !== undefined && isPlanId(id) ? id : undefined;
}

export const MAX_SKIPPED_NAMES = 1000;

/** @throws Error if the object is no record of a plan */
export function parsePlanRecord(bytes: Uint8Array, key: Key): PlanRecord {
  const value = parseJson(bytes);
  if (!isJsonObject(value) || typeof value.id !== 'string' || !isJsonObject(value.counts)) {
    throw new Error(`${key} is no record of a plan`);
  }
  return value as unknown as PlanRecord;
}

/** Bytes that are written at once. */
const PIECE_BYTES = MiB;

/** The list of a plan, as it is made. */
export async function* encodeTags(tags: AsyncIterable<PlannedTag>): AsyncGenerator<Uint8Array> {
  let text = '';
  for await (const tag of tags) {
    text += `${JSON.stringify(tag)}\n`;
    if (text.length < PIECE_BYTES) continue;
    yield encodeText(text);
    text = '';
  }
  yield encodeText(text);
}

/** The list of a plan, in bounded memory. One storage request. */
export async function* readTags(storage: StorageDriver, id: string): AsyncGenerator<PlannedTag> {
  const object = await storage.get(layout.retentionPlanTags(id));
  if (!object) throw new Error(`the list of plan ${id} is gone`);
  for await (const line of linesOf(object.body)) yield JSON.parse(line) as PlannedTag;
}
