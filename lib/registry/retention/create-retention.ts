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
import type { PullRecords } from './pull-records.ts';
import { Retention } from './retention.ts';
import type { RetentionSettings } from './settings.ts';

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
    pulls,
  }: {
    tags: Tags;
    tagDeletion: TagDeletion;
    history: TagHistory;
    restoration: TagRestoration;
    catalog: Catalog;
    stored: StoredManifests;
    facts: FactsStore;
    blobs: Blobs;
    pulls: PullRecords;
  },
  { rules, undoMs }: RetentionSettings,
): Retention {
  const expiries = new ImageExpiries(storage, { stored, blobs });
  const planner = new TagPlanner(storage, { tags, history, stored, facts, expiries });
  const plannedTags = new PlannedTags({ tags, tagDeletion, history, restoration, planner });
  return new Retention({ plans: new Plans(storage), catalog, planner, plannedTags, pulls }, { rules, undoMs });
}
