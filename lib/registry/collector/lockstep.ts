// The objects of all repositories, a repository at a time, from two flat listings: `repositories/` and `oci/repositories/` sort
// their folders alike. A listing per repository would cost a request for each.
import { type Key, type KeyPrefix, layout, repositoryFolderOf } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { inOrder } from './in-order.ts';

/** What lies in the two folders of a repository. */
export type ListedRepository = {
  /** The position in the listing, for `after`. */
  position: string;
  /** Undefined for a folder that is quoted twice, or belongs to no repository. */
  repository: RepositoryName | undefined;
  /** The objects below `repositories/`: tags and what docker-registry knows. */
  inRepositories: ObjectInfo[];
  /** The objects below `oci/repositories/`. */
  inOci: ObjectInfo[];
};

type Group = { position: string; repository: RepositoryName | undefined; objects: ObjectInfo[] };

/**
 * Lists all repositories. One storage request per 1,000 objects; the objects of one repository are in memory at a time.
 * @param after a `position`: repositories up to it are left out
 * @param onStray called with the key of an object that lies in no repository's folder
 */
export async function* listRepositories(
  storage: StorageDriver,
  { after, onStray }: { after?: string | undefined; onStray: (key: Key) => void },
): AsyncGenerator<ListedRepository> {
  const [left, right] = [layout.repositories(), layout.ociRepositories()].map((prefix) =>
    listRepositoryFolders(storage, prefix, { after, onStray }),
  );
  if (!left || !right) return;
  let [inRepositories, inOci] = await Promise.all([left.next(), right.next()]);
  while (!inRepositories.done || !inOci.done) {
    const order = compareEnds(inRepositories, inOci);
    const first = order <= 0 && !inRepositories.done ? inRepositories.value : undefined;
    const second = order >= 0 && !inOci.done ? inOci.value : undefined;
    const { position = '', repository } = first ?? second ?? {};
    yield { position, repository, inRepositories: first?.objects ?? [], inOci: second?.objects ?? [] };
    if (first) inRepositories = await left.next();
    if (second) inOci = await right.next();
  }
}

type Next = IteratorResult<Group, void>;

/** Negative if the left group comes first; a listing that has ended comes last. */
function compareEnds(left: Next, right: Next): number {
  if (left.done) return 1;
  if (right.done) return -1;
  return compareByteOrder(left.value.position, right.value.position);
}

/** The folders of repositories directly below one of the two prefixes. Parameters as for `listRepositories`. */
export async function* listRepositoryFolders(
  storage: StorageDriver,
  prefix: KeyPrefix,
  { after, onStray }: { after?: string | undefined; onStray: (key: Key) => void },
): AsyncGenerator<Group, void> {
  const options = after === undefined ? {} : { after: layout.afterFolder(`${prefix}${after}` as KeyPrefix) };
  let group: (Group & { folder: KeyPrefix }) | undefined;
  for await (const object of inOrder(storage.list(prefix, options))) {
    if (group && object.key.startsWith(group.folder)) {
      group.objects.push(object);
      continue;
    }
    if (group) yield group;
    const place = repositoryFolderOf(object.key);
    if (!place) onStray(object.key);
    group = place && {
      folder: place.folder,
      position: place.folder.slice(prefix.length),
      repository: place.repository,
      objects: [object],
    };
  }
  if (group) yield group;
}
