import { mapConcurrently } from '../concurrency.ts';
import { lastPartOf, layout, repositoryOf } from '../layout.ts';
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
   * repositories of each namespace that is read; namespaces before `after` are not.
   */
  async *list(options: { after?: RepositoryName } = {}): AsyncGenerator<RepositoryName> {
    const { after } = options;
    // A namespace sorts as `ns/`, in the bucket as among names, so only the names within one need sorting: keys are
    // quoted there (`b%2Fc` < `b-c` < `b` < `b/c` ... as keys is not their order as names).
    const from = after ? { after: layout.namespace(namespaceOf(after)).slice(0, -1) } : {};
    for await (const namespace of this.#storage.listFolders(layout.repositories(), from)) {
      const names = await this.#inNamespace(lastPartOf(namespace));
      yield* after ? names.filter((name) => name > after) : names;
    }
  }

  /** As `list`, with the namespaces read side by side. */
  async all(): Promise<RepositoryName[]> {
    const namespaces = await Array.fromAsync(this.#storage.listFolders(layout.repositories()));
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
