import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';

/**
 * Removes what lies beside the tags of a repository (its list of images, metadata, properties) once its last tag and its
 * last manifest are gone, so that no list shows it any more. Nothing goes that has changed since it was listed: what a push
 * writes in between stays. Links to blobs stay too, as a push may have begun that relies on them. Two storage requests, and
 * one for each object that goes.
 */
export async function removeLeftovers(storage: StorageDriver, repository: RepositoryName): Promise<void> {
  const objects: ObjectInfo[] = [];
  for await (const object of storage.list(layout.repository(repository))) {
    if (layout.isTag(object.key)) return;
    objects.push(object);
  }
  if (objects.length === 0) return;
  for await (const _ of storage.list(layout.manifests(repository))) return;
  await mapConcurrently(objects, ({ key, etag }) => storage.delete(key, { ifMatch: etag }));
}
