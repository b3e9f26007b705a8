// What a repository lists for v1 clients: `_index_images` without images that are gone, and the metadata of deleted tags.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout, tagOf } from '../../model/layout.ts';
import type { ImageId, RepositoryName } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
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
        const old = objects.filter(({ lastModified }) => isOlderThan(run, lastModified, run.times.graceMs));
        await deleteStaleMetadata(run, repository, { objects, old });
        const index = old.find(({ key }) => key === layout.indexImages(repository));
        if (hasRemovedImages && index) await pruneIndexImages(run, repository, index);
      }
      await run.checkpoint(position);
    }
  }
}

/** Deletes `tag<t>_json` where there is no tag `t`. A push of the tag writes it anew, with another ETag. */
async function deleteStaleMetadata(
  run: CollectorRun,
  repository: RepositoryName,
  { objects, old }: { objects: readonly ObjectInfo[]; old: readonly ObjectInfo[] },
): Promise<void> {
  const tags = new Set<string>(objects.filter(({ key }) => layout.isTag(key)).map(({ key }) => tagOf(key)));
  const stale = old.filter(({ key }) => {
    const tag = layout.tagOfMetadata(repository, key);
    return tag !== undefined && !tags.has(tag);
  });
  await mapConcurrently(stale, async ({ key, etag, sizeBytes }) => {
    if (!(await run.storage.delete(key, { ifMatch: etag }))) return;
    run.report.did('remove', 'tag metadata', key, { bytes: sizeBytes, reason: 'there is no such tag' });
  });
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
