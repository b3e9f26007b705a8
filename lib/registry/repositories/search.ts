import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { Catalog } from './catalog.ts';

/** How long names are remembered. What this process writes itself is found at once. */
export const FRESH_MS = 60_000;

export type SearchResult = {
  /** How many repositories match in all. */
  total: number;
  names: RepositoryName[];
};

/**
 * Finds repositories by a part of their name, in the bucket's own listing: there is no index to keep in step. The listing
 * is read once a minute at most, whatever is pushed and deleted meanwhile.
 */
export class Search {
  readonly #catalog: Catalog;
  #names: { list: Promise<RepositoryName[]>; until: number } | undefined;
  /** Repositories of which something was deleted: whether they are still there is looked up when they are found. */
  readonly #doubted = new Set<RepositoryName>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /**
   * Matches without regard to case; an empty query matches all. While the names are fresh no storage request but one for
   * each match of which something was deleted, else those of a whole catalog.
   * @param page from 1
   * @param isShown whether the caller may know of a repository
   */
  async find(
    query: string,
    { page, size, isShown }: { page: number; size: number; isShown: (name: RepositoryName) => boolean },
  ): Promise<SearchResult> {
    const wanted = query.toLowerCase();
    const names = (await this.#all()).filter((name) => name.toLowerCase().includes(wanted) && isShown(name));
    const gone = await this.#goneOf(names);
    const left = gone.size > 0 ? names.filter((name) => !gone.has(name)) : names;
    return { total: left.length, names: left.slice((page - 1) * size, page * size) };
  }

  /** A repository has got something, and so is there. */
  add(repository: RepositoryName): void {
    this.#doubted.delete(repository);
    this.#change((names) => (names.includes(repository) ? names : [...names, repository].sort()));
  }

  /** A repository has lost something, and may be gone. */
  doubt(repository: RepositoryName): void {
    if (this.#names) this.#doubted.add(repository);
  }

  async #goneOf(names: readonly RepositoryName[]): Promise<Set<RepositoryName>> {
    const doubted = names.filter((name) => this.#doubted.has(name));
    const gone = new Set<RepositoryName>();
    await mapConcurrently(doubted, async (name) => {
      this.#doubted.delete(name);
      if (!(await this.#catalog.has(name))) gone.add(name);
    });
    if (gone.size > 0) this.#change((all) => all.filter((name) => !gone.has(name)));
    return gone;
  }

  #change(change: (names: RepositoryName[]) => RepositoryName[]): void {
    if (this.#names) this.#names.list = this.#names.list.then(change);
  }

  #all(): Promise<RepositoryName[]> {
    if (this.#names && this.#names.until > Date.now()) return this.#names.list;
    this.#doubted.clear();
    const names = { list: this.#catalog.all(), until: Date.now() + FRESH_MS };
    this.#names = names;
    names.list.catch(() => {
      if (this.#names === names) this.#names = undefined;
    });
    return names.list;
  }
}
