import type { Background } from '../../concurrency/background.ts';
import { DAY_MS } from '../../model/duration.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { TagRestoration } from '../history/restore-tag.ts';
import type { TagHistory } from '../history/tag-history.ts';
import type { FactsStore } from '../manifests/stored-facts.ts';
import type { StoredManifests } from '../manifests/stored-manifests.ts';
import type { Catalog } from '../repositories/catalog.ts';
import type { TagDeletion } from '../tags/delete-tag.ts';
import type { Tags } from '../tags/tags.ts';
import { ImageExpiries } from './image-expiry.ts';
import { TagPlanner } from './plan-tags.ts';
import { PlannedTags } from './planned-tags.ts';
import { Plans } from './plans.ts';
import { PullRecords } from './pull-records.ts';
import { Retention } from './retention.ts';
import type { RetentionRule } from './rules.ts';

/** `undoMs` in milliseconds. `ignorePullsBy`: patterns of callers and programs whose pulls do not count. */
export type RetentionSettings = { rules: readonly RetentionRule[]; undoMs: number; ignorePullsBy: readonly string[] };

const NO_RETENTION: RetentionSettings = { rules: [], undoMs: 14 * DAY_MS, ignorePullsBy: [] };

/** Builds what the rules of retention need. */
export function createRetention(
  storage: StorageDriver,
  {
    tags,
    tagDeletion,
    history,
    restoration,
    catalog,
    stored,
    facts,
    blobs,
    background,
  }: {
    tags: Tags;
    tagDeletion: TagDeletion;
    history: TagHistory;
    restoration: TagRestoration;
    catalog: Catalog;
    stored: StoredManifests;
    facts: FactsStore;
    blobs: Blobs;
    background: Background | undefined;
  },
  { rules, undoMs, ignorePullsBy }: RetentionSettings = NO_RETENTION,
): { retention: Retention; pulls: PullRecords } {
  const pulls = new PullRecords(storage, { rules, ignored: ignorePullsBy, background });
  const expiries = new ImageExpiries(storage, { stored, blobs });
  const planner = new TagPlanner(storage, { tags, history, stored, facts, expiries });
  const plannedTags = new PlannedTags({ tags, tagDeletion, history, restoration, planner });
  return {
    retention: new Retention({ plans: new Plans(storage), catalog, planner, plannedTags, pulls }, { rules, undoMs }),
    pulls,
  };
}
