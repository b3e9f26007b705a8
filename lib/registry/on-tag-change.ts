import type { Background } from '../concurrency/background.ts';
import { LruCache } from '../model/lru-cache.ts';
import { hexOf, isImageId } from '../model/names.ts';
import { KiB } from '../streams/bytes.ts';
import type { Search } from './repositories/search.ts';
import type { PushedManifest } from './tags/pushed-manifest.ts';
import type { OnTagChange, TagChange } from './tags/tag-change.ts';
import { IndexImagesQueue } from './v2-to-v1/index-images-queue.ts';
import type { TagProjections } from './v2-to-v1/project-tags.ts';
import type { IndexImagesUpdates } from './v2-to-v1/update-index-images.ts';

/** The last changes of tags, for projections that wait. */
const REMEMBERED = { max: 10_000 };

/** A larger manifest is read again, so that the memory of tasks that wait is bounded. */
const MAX_KEPT_BYTES = 64 * KiB;

function isSmall({ bytes }: PushedManifest): boolean {
  return bytes.length <= MAX_KEPT_BYTES;
}

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
  const latest = new LruCache<string, TagChange>(REMEMBERED);
  return (repository, change) => {
    if ('moved' in change) search.add(repository);
    else search.recheck(repository);
    if (!background || !queue || 'emptied' in change) return;
    if ('moved' in change) {
      const { moved: tag, pushed, isRepeated } = change;
      queue.keepMetadata(repository, tag);
      if (tagProjections.isLazy) return;
      const name = `${repository}:${tag}`;
      latest.set(name, change);
      const isCurrent = () => latest.get(name) === change;
      const options = { isRepeated, isCurrent, ...(pushed && isSmall(pushed) && { pushed }) };
      background.run(`projection of ${name}`, async () => {
        const changes = isCurrent() && (await tagProjections.project(repository, tag, options));
        if (changes) queue.add(repository, changes);
      });
    } else if ('deleted' in change) {
      latest.delete(`${repository}:${change.deleted}`);
      queue.add(repository, { deletedTags: new Map([[change.deleted, change.target.imageId]]) });
    } else {
      const deletedProjections = new Set([hexOf(change.deletedManifest)].filter(isImageId));
      queue.add(repository, { deletedProjections, absentTags: new Set(change.tags) });
    }
  };
}
