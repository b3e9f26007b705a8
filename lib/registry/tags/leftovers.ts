import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { deleteMany } from '../../storage/deletions.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { listUnlessGone } from '../condemned/gone.ts';
import { metadataKeys } from './metadata.ts';

/**
 * Deletes the index images, tag metadata and properties of a repository without tags and manifests, so that the catalog and
 * the search no longer list it. Does nothing if the repository still has a tag or a manifest. An object that has changed since
 * it was listed stays: a push has written it. Blob links stay too, since a push that has begun may rely on them. One storage
 * request; where no manifest is left two, one for the metadata of deleted tags, and one for each other object.
 * @param options.deletedTags their metadata is deleted also if it has changed
 * @param options.listed the objects of the folder `layout.repository`, if the caller has just listed them
 * @returns whether nothing is left
 */
export async function removeLeftovers(
  storage: StorageDriver,
  repository: RepositoryName,
  { deletedTags = [], listed }: { deletedTags?: readonly Tag[]; listed?: readonly ObjectInfo[] } = {},
): Promise<boolean> {
  // The manifests first: where only tags were deleted, one of them is still there.
  for await (const _ of listUnlessGone(storage, layout.manifests(repository))) return false;
  const objects = listed ?? (await Array.fromAsync(storage.list(layout.repository(repository))));
  if (objects.some(({ key }) => layout.isTag(key))) return false;
  const ofDeletedTags = new Set(deletedTags.flatMap((tag) => metadataKeys(repository, tag)));
  const others = objects.filter(({ key }) => !ofDeletedTags.has(key));
  const [areDeleted] = await Promise.all([
    mapConcurrently(others, ({ key, etag }) => storage.delete(key, { ifMatch: etag })),
    deleteMany(
      storage,
      objects.map(({ key }) => key).filter((key) => ofDeletedTags.has(key)),
    ),
  ]);
  return !areDeleted.includes(false);
}
