import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { type KeyPrefix, lastPartOf, layout, repositoryOf } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { namesInOrder } from './names-in-order.ts';

export type CatalogPage = {
  names: RepositoryName[];
  /** `after` of the next page, absent on the last one: the last name of this page, or a namespace that follows it. */
  next?: string;
};

export type CatalogQuery = {
  size: number;
  /** Names of repositories and namespaces up to this text are left out. */
  after?: string;
  /** Whether the caller may see some repository of a namespace: others are not listed. */
  maySeeIn?: (namespace: string) => boolean;
  isShown?: (name: RepositoryName) => boolean;
};

/** The list of repositories: the folders in storage. */
export class Catalog {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * A page in the order of the names, of names that v2 has. One storage request per 1,000 namespaces passed, and those of
   * `namesInOrder` for the names of the page, with up to 16 namespaces read ahead. After 128 namespaces without a name for the
   * page it ends, even if it is empty.
   */
  async page({ size, after, maySeeIn = () => true, isShown = () => true }: CatalogQuery): Promise<CatalogPage> {
    if (size === 0) return { names: [] };
    const names: RepositoryName[] = [];
    let hiddenNamespaces = 0;
    for await (const namespaces of inGrowingGroups(this.#namespaces(after, maySeeIn))) {
      const most = size - names.length + 1;
      const found = await mapConcurrently(namespaces, (namespace) =>
        this.#firstIn(namespace, { after, isShown, size: most }),
      );
      for (const [index, shown] of found.entries()) {
        const room = size - names.length;
        names.push(...shown.slice(0, room));
        if (shown.length > room) return { names, next: names.at(-1) ?? '' };
        if (shown.length === 0) hiddenNamespaces++;
        if (hiddenNamespaces === MAX_HIDDEN_NAMESPACES) return { names, next: endOfNamespace(namespaces[index] ?? '') };
      }
    }
    return { names };
  }

  /** In the order of names, which is the order of folders: both are compared with a final slash. */
  async *#namespaces(after: string | undefined, maySeeIn: (namespace: string) => boolean): AsyncGenerator<string> {
    const [first = ''] = after?.split('/') ?? [];
    const from = first === '' ? {} : { after: layout.namespace(first).slice(0, -1) };
    for await (const folder of this.#storage.listFolders(layout.repositories(), from)) {
      const namespace = lastPartOf(folder);
      if (maySeeIn(namespace) && (after === undefined || endOfNamespace(namespace) > after)) yield namespace;
    }
  }

  async #firstIn(
    namespace: string,
    { after, isShown, size }: { after: string | undefined; isShown: (name: RepositoryName) => boolean; size: number },
  ): Promise<RepositoryName[]> {
    const names: RepositoryName[] = [];
    for await (const name of namesInOrder(this.#storage, namespace, { after })) {
      if (isShown(name) && names.push(name) === size) break;
    }
    return names;
  }

  /** All repositories, with the namespaces read side by side: one storage request per 1,000 of them and for each of them. */
  async all(): Promise<RepositoryName[]> {
    const folders: KeyPrefix[] = await Array.fromAsync(this.#storage.listFolders(layout.repositories()));
    return (await mapConcurrently(folders, (folder) => this.#inNamespace(lastPartOf(folder)))).flat();
  }

  /** Whether there is no repository. One storage request. */
  async isEmpty(): Promise<boolean> {
    for await (const _ of this.#storage.list(layout.repositories())) return false;
    return true;
  }

  /** Whether lists show the repository. One storage request. */
  async has(repository: RepositoryName): Promise<boolean> {
    for await (const _ of this.#storage.list(layout.repository(repository))) return true;
    return false;
  }

  /** Sorted by name: the order of keys (`b%2Fc` < `b-c` < `b`) is not the order of names (`b` < `b-c` < `b/c`). */
  async #inNamespace(namespace: string): Promise<RepositoryName[]> {
    const names: RepositoryName[] = [];
    for await (const folder of this.#storage.listFolders(layout.namespace(namespace))) {
      const name = repositoryOf(namespace, folder);
      if (name) names.push(name);
    }
    return names.sort();
  }
}

/** How many namespaces without a name for the page it may pass. */
export const MAX_HIDDEN_NAMESPACES = 128;

/** A text after every name in the namespace and before the next namespace: no name contains this character. */
function endOfNamespace(namespace: string): string {
  return `${namespace}/\u{ffff}`;
}

const MAX_GROUP = 16;

/** Groups of 1, 2, 4 … 16 items: a page that ends early has read few namespaces ahead. */
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
