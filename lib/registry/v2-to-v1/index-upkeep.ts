// Keeps `_index_images` and what else lies beside tags in step with the tags of a repository, behind the requests.
import { LRUCache } from 'lru-cache';
import type { Background } from '../../concurrency/background.ts';
import type { ImageId, RepositoryName, Tag } from '../../model/names.ts';

/** What has become of the tags of a repository since all of it was last in step. */
export type TagChanges = {
  /** Images that the list must name, as tags name them. */
  added: Set<ImageId>;
  /** A tag was moved: the image that it named before may have lost its last tag. */
  hasMoved: boolean;
  /** Tags that were deleted, each with the image that it named, if that is known. They may be there again. */
  deleted: Map<Tag, ImageId | undefined>;
  /** Tags that a listing has shown to be gone since. */
  gone: Set<Tag>;
  /** Images made from manifests that are gone, as are all tags that named them. */
  lost: Set<ImageId>;
};

export function noChanges(): TagChanges {
  return { added: new Set(), hasMoved: false, deleted: new Map(), gone: new Set(), lost: new Set() };
}

/** After a pass the next one of the same repository waits, and does for all changes that come meanwhile. */
const PAUSE_MILLISECONDS = 250;

/** Of how many repositories it is remembered when they were last brought in step. */
const MAX_REMEMBERED = 1000;

type BringInStep = (repository: RepositoryName, changes: TagChanges) => Promise<void>;

/** Gathers changes by repository: however many tags are changed in a row, a repository is brought in step four times a second. */
export class IndexUpkeep {
  readonly #background: Background;
  readonly #bringInStep: BringInStep;
  readonly #pending = new Map<RepositoryName, TagChanges>();
  readonly #underWay = new Set<RepositoryName>();
  readonly #restUntil = new LRUCache<RepositoryName, number>({ max: MAX_REMEMBERED });

  constructor(background: Background, bringInStep: BringInStep) {
    this.#background = background;
    this.#bringInStep = bringInStep;
  }

  note(repository: RepositoryName, news: Partial<TagChanges>): void {
    const changes = this.#pending.get(repository) ?? noChanges();
    for (const id of news.added ?? []) changes.added.add(id);
    if (news.hasMoved) changes.hasMoved = true;
    for (const [tag, id] of news.deleted ?? []) changes.deleted.set(tag, id);
    for (const tag of news.gone ?? []) changes.gone.add(tag);
    for (const id of news.lost ?? []) changes.lost.add(id);
    this.#pending.set(repository, changes);
    this.#schedule(repository);
  }

  /** The tag is there again: what lies beside it is no longer to be removed. */
  noteSet(repository: RepositoryName, tag: Tag): void {
    this.#pending.get(repository)?.gone.delete(tag);
  }

  #schedule(repository: RepositoryName): void {
    if (this.#underWay.has(repository)) return;
    this.#underWay.add(repository);
    const pause = Math.max(0, (this.#restUntil.get(repository) ?? 0) - Date.now());
    this.#background.run(`list of images of ${repository}`, () => this.#run(repository), pause);
  }

  async #run(repository: RepositoryName): Promise<void> {
    const changes = this.#pending.get(repository);
    this.#pending.delete(repository);
    try {
      if (changes) await this.#bringInStep(repository, changes);
    } finally {
      this.#restUntil.set(repository, Date.now() + PAUSE_MILLISECONDS);
      this.#underWay.delete(repository);
      if (this.#pending.has(repository)) this.#schedule(repository);
    }
  }
}
