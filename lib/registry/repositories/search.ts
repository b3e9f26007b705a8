import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { NO_PEERS, type Peers } from '../../concurrency/peers.ts';
import { inTurns } from '../../concurrency/turns.ts';
import { namespaceOf, type RepositoryName } from '../../model/names.ts';
import type { Catalog } from './catalog.ts';

/** How long the listing is used. Repositories that the workers of this server add are found at once. */
export const FRESH_MS = 60_000;

export type SearchResult = {
  /** How many repositories match in all. */
  total: number;
  names: RepositoryName[];
};

/**
 * Finds repositories by a part of their name, in a listing of the bucket that is read at most once a minute. There is no stored
 * search index.
 */
export class Search {
  readonly #catalog: Catalog;
  #names: { list: Promise<RepositoryName[]>; until: number } | undefined;
  /** Repositories of which something was deleted. The next search that matches one checks whether it still exists. */
  readonly #unchecked = new Set<RepositoryName>();

  readonly #peers: Peers;

  constructor(catalog: Catalog, peers = NO_PEERS) {
    this.#catalog = catalog;
    this.#peers = peers;
    peers.hear('repository filled', ({ repository }) => this.#add(repository as RepositoryName));
    peers.hear('repository reduced', ({ repository }) => this.#recheck(repository as RepositoryName));
  }

  /**
   * Ignores case; an empty query matches all. No storage request while the listing is fresh, but one for each match of which
   * something was deleted; else those of `Catalog.all`.
   * @param page from 1
   * @param isShown whether the caller may list a repository
   */
  async find(
    query: string,
    { page, size, isShown }: { page: number; size: number; isShown: (name: RepositoryName) => boolean },
  ): Promise<SearchResult> {
    const wanted = query.toLowerCase();
    const names: RepositoryName[] = [];
    for await (const group of inTurns(await this.#all())) {
      names.push(...group.filter((name) => name.toLowerCase().includes(wanted) && isShown(name)));
    }
    const gone = await this.#goneOf(names);
    const left = gone.size > 0 ? names.filter((name) => !gone.has(name)) : names;
    return { total: left.length, names: left.slice((page - 1) * size, page * size) };
  }

  /**
   * How many repositories each namespace has, in the order of the names. No storage request while the listing is fresh, else those
   * of `Catalog.all`.
   * @param isShown whether the caller may list a repository
   */
  async namespaces(isShown: (name: RepositoryName) => boolean): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for await (const group of inTurns(await this.#all())) {
      for (const name of group) {
        if (isShown(name)) counts.set(namespaceOf(name), (counts.get(namespaceOf(name)) ?? 0) + 1);
      }
    }
    return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Something was pushed to the repository, so it exists. */
  add(repository: RepositoryName): void {
    this.#add(repository);
    this.#peers.tell('repository filled', { repository });
  }

  /** Something of the repository was deleted, so it may no longer exist. */
  recheck(repository: RepositoryName): void {
    this.#recheck(repository);
    this.#peers.tell('repository reduced', { repository });
  }

  #add(repository: RepositoryName): void {
    this.#unchecked.delete(repository);
    this.#change((names) => (names.includes(repository) ? names : [...names, repository].sort()));
  }

  #recheck(repository: RepositoryName): void {
    if (this.#names) this.#unchecked.add(repository);
  }

  async #goneOf(names: readonly RepositoryName[]): Promise<Set<RepositoryName>> {
    const unchecked = names.filter((name) => this.#unchecked.has(name));
    const gone = new Set<RepositoryName>();
    await mapConcurrently(unchecked, async (name) => {
      this.#unchecked.delete(name);
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
    this.#unchecked.clear();
    const names = { list: this.#catalog.all(), until: Date.now() + FRESH_MS };
    this.#names = names;
    names.list.catch(() => {
      if (this.#names === names) this.#names = undefined;
    });
    return names.list;
  }
}
