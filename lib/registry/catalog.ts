import { mapConcurrently } from '../concurrency.ts';
import { type KeyPrefix, lastPartOf, layout, repositoryOf } from '../layout.ts';
import { namespaceOf, type RepositoryName } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';

/** Which repositories there are. No list of them is kept: the folders of the bucket are the list. */
export class Catalog {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * All repositories in the order of their names, after `after` if given. One storage request, and one per 1,000
   * repositories of each namespace that is read; namespaces before `after` are not, and the further somebody reads, the
   * more of them are read ahead, side by side.
   */
  async *list(options: { after?: RepositoryName } = {}): AsyncGenerator<RepositoryName> {
    const { after } = options;
    // A namespace sorts as `ns/`, in the bucket as among names, so only the names within one need sorting: keys are
    // quoted there (`b%2Fc` < `b-c` < `b` < `b/c` ... as keys is not their order as names).
    const from = after ? { after: layout.namespace(namespaceOf(after)).slice(0, -1) } : {};
    for await (const namespaces of inGrowingGroups(this.#storage.listFolders(layout.repositories(), from))) {
      const names = await this.#inNamespaces(namespaces);
      yield* after ? names.filter((name) => name > after) : names;
    }
  }

  /** As `list`, with the namespaces read side by side. */
  async all(): Promise<RepositoryName[]> {
    return await this.#inNamespaces(await Array.fromAsync(this.#storage.listFolders(layout.repositories())));
  }

  /** In the order of the namespaces, and of the names in each. */
  async #inNamespaces(namespaces: readonly KeyPrefix[]): Promise<RepositoryName[]> {
    return (await mapConcurrently(namespaces, (namespace) => this.#inNamespace(lastPartOf(namespace)))).flat();
  }

  async #inNamespace(namespace: string): Promise<RepositoryName[]> {
    const names: RepositoryName[] = [];
    for await (const folder of this.#storage.listFolders(layout.namespace(namespace))) {
      const name = repositoryOf(namespace, folder);
      if (name) names.push(name);
    }
    return names.sort(); // by code unit, as `after` compares
  }
}

const MAX_GROUP = 64;

/** One, then two, four, and so on: whoever stops early has caused little that nobody needed. */
async function* inGrowingGroups<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let size = 1;
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < size) continue;
    yield group;
    group = [];
    size = Math.min(2 * size, MAX_GROUP);
  }
  if (group.length > 0) yield group;
}
