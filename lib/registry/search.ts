import type { RepositoryName } from '../names.ts';
import type { Catalog } from './catalog.ts';

/** How long names are remembered. What this process writes itself is found at once. */
const FRESH_MS = 60_000;

export type SearchResult = {
  /** How many repositories match in all. */
  total: number;
  names: RepositoryName[];
};

/** Finds repositories by a part of their name, in the bucket's own listing: there is no index to keep in step. */
export class Search {
  readonly #catalog: Catalog;
  #names: { list: Promise<RepositoryName[]>; until: number } | undefined;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /**
   * Matches without regard to case; an empty query matches all. No storage request while the names are fresh, else those
   * of a whole catalog.
   * @param page from 1
   * @param isShown whether whoever asks may know of a repository
   */
  async find(
    query: string,
    { page, size, isShown }: { page: number; size: number; isShown: (name: RepositoryName) => boolean },
  ): Promise<SearchResult> {
    const wanted = query.toLowerCase();
    const names = (await this.#all()).filter((name) => name.toLowerCase().includes(wanted) && isShown(name));
    return { total: names.length, names: names.slice((page - 1) * size, page * size) };
  }

  /** A repository has come or gone. */
  forget(): void {
    this.#names = undefined;
  }

  #all(): Promise<RepositoryName[]> {
    if (this.#names && this.#names.until > Date.now()) return this.#names.list;
    const list = this.#catalog.all();
    this.#names = { list, until: Date.now() + FRESH_MS };
    list.catch(() => this.forget());
    return list;
  }
}
