import type { Background } from '../concurrency/background.ts';
import { hexOf, isImageId } from '../model/names.ts';
import type { Search } from './repositories/search.ts';
import type { OnTagChange } from './tags/tag-change.ts';
import { IndexImagesQueue } from './v2-to-v1/index-images-queue.ts';
import type { TagProjections } from './v2-to-v1/project-tags.ts';
import type { IndexImagesUpdates } from './v2-to-v1/update-index-images.ts';

/**
 * What follows a tag change: the search is told at once; projections, tag metadata and `_index_images` are updated in the
 * background. Without `background` another process (on AWS the projection worker) does that, or the first v1 request.
 */
export function createTagChangeHandler({
  background,
  search,
  tagProjections,
  indexImagesUpdates,
}: {
  background: Background | undefined;
  search: Search;
  tagProjections: TagProjections;
  indexImagesUpdates: IndexImagesUpdates;
}): OnTagChange {
  const queue =
    background &&
    new IndexImagesQueue(background, async (repository, changes) => {
      await indexImagesUpdates.update(repository, changes);
      // The update deletes a repository that has neither tags nor manifests left.
      if (changes.deletedTags.size > 0) search.recheck(repository);
    });
  return (repository, change) => {
    if ('moved' in change) search.add(repository);
    else search.recheck(repository);
    if (!background || !queue || 'emptied' in change) return;
    if ('moved' in change) {
      const { moved: tag } = change;
      queue.keepMetadata(repository, tag);
      background.run(`projection of ${repository}:${tag}`, async () => {
        queue.add(repository, await tagProjections.project(repository, tag));
      });
    } else if ('deleted' in change) {
      queue.add(repository, { deletedTags: new Map([[change.deleted, change.target.imageId]]) });
    } else {
      const deletedProjections = new Set([hexOf(change.deletedManifest)].filter(isImageId));
      queue.add(repository, { deletedProjections, absentTags: new Set(change.tags) });
    }
  };
}
