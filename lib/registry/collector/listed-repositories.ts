// The objects of all repositories, a repository at a time. A listing per repository would cost a request for each.
import { type Key, type KeyPrefix, layout, repositoryFolderOf } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { type Folder, foldersBelow, foldersInLockstep } from '../inventory/lockstep.ts';

/** What lies in the two folders of a repository. What is not read before the next repository is asked for is skipped. */
export type ListedRepository = {
  /** The position in the listing, for `after`. */
  position: string;
  /** Undefined for a folder that is quoted twice, or belongs to no repository. */
  repository: RepositoryName | undefined;
  /** The objects below `repositories/`: tags and what docker-registry knows. */
  inRepositories: AsyncIterable<ObjectInfo>;
  /** The objects below `oci/repositories/`. */
  inOci: AsyncIterable<ObjectInfo>;
};

type ListOptions = { after?: string | undefined; onStray: (key: Key) => void };

/** A repository's folder is named by its namespace and the rest of its name. */
const DEPTH = 2;

/**
 * Lists all repositories. One storage request per 1,000 objects.
 * @param options.after a `position`: repositories up to it are left out
 * @param options.onStray called with the key of an object that lies in no repository's folder
 */
export async function* listRepositories(
  storage: StorageDriver,
  { after, onStray }: ListOptions,
): AsyncGenerator<ListedRepository> {
  const options = {
    depth: DEPTH,
    after: after?.replace(/\/$/, ''),
    onStray: async ({ key }: ObjectInfo) => onStray(key),
  };
  const folders = foldersInLockstep(storage, {
    ...{ ...options, objects: layout.repositories(), records: layout.ociRepositories() },
  });
  for await (const { name, objects, records } of folders) {
    yield { ...placeOf(name), inRepositories: objects, inOci: records };
  }
}

/** The folders of repositories directly below one of the two prefixes. Objects that are not read are skipped. Parameters as for `listRepositories`. */
export async function* listRepositoryFolders(
  storage: StorageDriver,
  prefix: KeyPrefix,
  { after, onStray }: ListOptions,
): AsyncGenerator<Pick<ListedRepository, 'position' | 'repository'> & { objects: AsyncIterable<ObjectInfo> }> {
  const options = {
    depth: DEPTH,
    after: after?.replace(/\/$/, ''),
    onStray: async ({ key }: ObjectInfo) => onStray(key),
  };
  for await (const { name, objects } of foldersBelow(storage, prefix, options)) {
    yield { ...placeOf(name), objects };
  }
}

function placeOf(name: Folder['name']): Pick<ListedRepository, 'position' | 'repository'> {
  const place = repositoryFolderOf(`${layout.repositories()}${name}/` as Key);
  return { position: `${name}/`, repository: place?.repository };
}
