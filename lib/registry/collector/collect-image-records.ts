// Level (c): what is left beside a v1 image that stays.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import { saysProjection } from '../v1-images/projection-record.ts';
import type { ListedImage } from './listed-images.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

/**
 * Deletes grants that give no right, because the repository no longer holds the tag or manifest. The last object that says that
 * the image is a projection stays. One storage request for each.
 */
export async function deleteStaleGrants(run: CollectorRun, image: ListedImage): Promise<void> {
  const { staleGrants, hasRecord, hasValidDescription } = image;
  const kept = hasRecord || hasValidDescription ? undefined : staleGrants.find(({ key }) => saysProjection(key));
  // A grant is written before the tag or manifest that gives it.
  const old = staleGrants.filter((grant) => grant !== kept && isOlderThan(run, grant.lastModified, run.times.graceMs));
  await mapConcurrently(old, async ({ key, etag }) => {
    if (!(await run.storage.delete(key, { ifMatch: etag }))) return; // written again, with another nonce
    run.report.did('remove', 'grant', key, { reason: 'the repository no longer holds what gave it' });
  });
}

/** Deletes records of v1 images that were converted to a manifest, and are gone. Two storage requests for each at most. */
export async function deleteStaleSources(run: CollectorRun, { sources }: ListedImage): Promise<void> {
  await mapConcurrently(sources, async ({ id, info: { key, etag, lastModified } }) => {
    if (run.filters.keptImages.has(id) || !isOlderThan(run, lastModified, run.times.minAgeMs)) return;
    if (await run.storage.head(layout.imageJson(id))) return;
    if (!(await run.storage.delete(key, { ifMatch: etag }))) return; // written again, with another nonce
    run.report.did('remove', 'scrap', key, { reason: 'the v1 image that was converted is gone' });
  });
}
