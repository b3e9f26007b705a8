import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { listUnlessGone } from '../condemned/gone.ts';

/**
 * Deletes the index images, tag metadata and properties of a repository without tags and manifests, so that the catalog and
 * the search no longer list it. Does nothing if the repository still has a tag or a manifest. An object that has changed since
 * it was listed stays: a push has written it. Blob links stay too, since a push that has begun may rely on them. One storage
 * request; two, and one for each deleted object, where no manifest is left.
 */
export async function removeLeftovers(storage: StorageDriver, repository: RepositoryName): Promise<void> {
  // The manifests first: where only tags were deleted, one of them is still there.
  for await (const _ of listUnlessGone(storage, layout.manifests(repository))) return;
  const objects: ObjectInfo[] = [];
  for await (const object of storage.list(layout.repository(repository))) {
    if (layout.isTag(object.key)) return;
    objects.push(object);
  }
  await mapConcurrently(objects, ({ key, etag }) => storage.delete(key, { ifMatch: etag }));
}
