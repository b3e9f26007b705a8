import { type KeyPrefix, layout } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { listUnlessGone } from '../condemned/gone.ts';

/** As `V1Repositories.exists`. */
export async function repositoryExists(storage: StorageDriver, repository: RepositoryName): Promise<boolean> {
  const prefixes = [layout.repository(repository), layout.manifests(repository)];
  const found = await Promise.all(prefixes.map((prefix) => holdsAnything(storage, prefix)));
  return found.includes(true);
}

async function holdsAnything(storage: StorageDriver, prefix: KeyPrefix): Promise<boolean> {
  for await (const _ of listUnlessGone(storage, prefix)) return true;
  return false;
}
