// What a repository lists for v1 clients: `_index_images` without images that are gone, and the metadata of deleted tags.
import { forEachConcurrently, mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId, RepositoryName } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import { ListedObjects } from '../inventory/listed-objects.ts';
import { IndexImages } from '../tags/index-images.ts';
import { readImageCell } from '../v1-images/image-cell.ts';
import { listRepositoryFolders } from './listed-repositories.ts';
import { type CollectorRun, isOlderThan, isRipe, type Stage } from './stage.ts';

/** Comes after the stage that removes images. */
export class V1ListsStage implements Stage {
  readonly name = 'v1 lists';

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    const hasRemovedImages = run.report.count('remove', 'image').count > 0;
    const options = { after: cursor, onStray: () => {} };
    for await (const { position, repository, objects } of listRepositoryFolders(
      run.storage,
      layout.repositories(),
      options,
    )) {
      if (repository !== undefined) {
        const listed = new ListedObjects(layout.repository(repository));
        for await (const object of objects) listed.add(object);
        await deleteStaleMetadata(run, repository, listed);
        const index = listed.find(layout.indexImages(repository));
        if (hasRemovedImages && index && isOld(run, index)) await pruneIndexImages(run, repository, index);
      }
      await run.checkpoint(position);
    }
  }
}

/** Deletes `tag<t>_json` where there is no tag `t`. A push of the tag writes it anew, with another ETag. */
async function deleteStaleMetadata(
  run: CollectorRun,
  repository: RepositoryName,
  objects: ListedObjects,
): Promise<void> {
  await forEachConcurrently(objects, async (object) => {
    const { key, etag, sizeBytes } = object;
    const tag = layout.tagOfMetadata(repository, key);
    if (tag === undefined || !isOld(run, object) || objects.indexOf(layout.tag(repository, tag)) >= 0) return;
    if (!(await run.storage.delete(key, { ifMatch: etag }))) return;
    run.report.did('remove', 'tag metadata', key, { bytes: sizeBytes, reason: 'there is no such tag' });
  });
}

function isOld(run: CollectorRun, { lastModified }: ObjectInfo): boolean {
  return isOlderThan(run, lastModified, run.times.graceMs);
}

/** Removes the ids of images that are gone. One storage request, one for each id that nothing leads to, and one if any is removed. */
async function pruneIndexImages(run: CollectorRun, repository: RepositoryName, { key }: ObjectInfo): Promise<void> {
  let removed = new Set<ImageId>();
  await new IndexImages(run.storage).update(repository, async (ids) => {
    const candidates = ids.filter((id) => !run.filters.keptImages.has(id));
    const gone = await mapConcurrently(candidates, async (id) => ((await isGone(run, id)) ? [id] : []));
    removed = new Set(gone.flat());
    return { added: new Set(), removed };
  });
  if (removed.size > 0) run.report.did('prune', 'index images', key, { reason: `${removed.size} images are gone` });
}

/** Whether there is no such image; in a dry run also whether the run would have removed it. */
async function isGone(run: CollectorRun, id: ImageId): Promise<boolean> {
  if (!(await run.storage.head(layout.imageJson(id)))) return true;
  if (!run.isDryRun) return false;
  const cell = await readImageCell(run.storage, id);
  return cell.state !== 'live' && isRipe(run, cell.object.lastModified);
}
