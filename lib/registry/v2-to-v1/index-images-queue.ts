// Gathers what changes about the tags of a repository, so that `_index_images` is updated once for many changes.

import type { Background } from '../../concurrency/background.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { ImageId, RepositoryName, Tag } from '../../model/names.ts';

/** What has changed about the tags of a repository. */
export type TagChanges = {
  /** Top projections that tags name now. */
  projections: Set<ImageId>;
  /** A tag was moved: the image that it named before may have lost its last tag. */
  hasMovedTag: boolean;
  /** Tags that were deleted, each with the image that it named, if known. A later push may have set them again. */
  deletedTags: Map<Tag, ImageId | undefined>;
  /** Tags deleted with their manifest and absent from a later listing: only their metadata is left to delete. */
  absentTags: Set<Tag>;
  /** Top projections of deleted manifests. No tag names them any more. */
  deletedProjections: Set<ImageId>;
};

export function noChanges(): TagChanges {
  return {
    projections: new Set(),
    hasMovedTag: false,
    deletedTags: new Map(),
    absentTags: new Set(),
    deletedProjections: new Set(),
  };
}

/** Between two updates of one repository. Changes in the meantime are handled by the later one. */
const PAUSE_MILLISECONDS = 250;

/** For how many repositories the end of the pause is remembered. */
const MAX_REMEMBERED = 1000;

/** Runs at most four updates a second for each repository, however many of its tags change. */
export class IndexImagesQueue {
  readonly #background: Background;
  readonly #update: (repository: RepositoryName, changes: TagChanges) => Promise<void>;
  readonly #waiting = new Map<RepositoryName, TagChanges>();
  /** Repositories with an update that runs or is scheduled. */
  readonly #scheduled = new Set<RepositoryName>();
  readonly #pauseEnds = new LruCache<RepositoryName, number>({ max: MAX_REMEMBERED });

  /** @param update `IndexImagesUpdates.update`, and what follows it */
  constructor(background: Background, update: (repository: RepositoryName, changes: TagChanges) => Promise<void>) {
    this.#background = background;
    this.#update = update;
  }

  /** Adds changes to those that wait, and schedules an update. */
  add(repository: RepositoryName, more: Partial<TagChanges>): void {
    const changes = this.#waiting.get(repository) ?? noChanges();
    for (const id of more.projections ?? []) changes.projections.add(id);
    if (more.hasMovedTag) changes.hasMovedTag = true;
    for (const [tag, id] of more.deletedTags ?? []) changes.deletedTags.set(tag, id);
    for (const tag of more.absentTags ?? []) changes.absentTags.add(tag);
    for (const id of more.deletedProjections ?? []) changes.deletedProjections.add(id);
    this.#waiting.set(repository, changes);
    this.#schedule(repository);
  }

  /** The tag exists again, so an update that waits must not delete its metadata. */
  keepMetadata(repository: RepositoryName, tag: Tag): void {
    this.#waiting.get(repository)?.absentTags.delete(tag);
  }

  #schedule(repository: RepositoryName): void {
    if (this.#scheduled.has(repository)) return;
    this.#scheduled.add(repository);
    const pause = Math.max(0, (this.#pauseEnds.get(repository) ?? 0) - Date.now());
    this.#background.run(`index images of ${repository}`, () => this.#run(repository), pause);
  }

  async #run(repository: RepositoryName): Promise<void> {
    const changes = this.#waiting.get(repository);
    this.#waiting.delete(repository);
    try {
      if (changes) await this.#update(repository, changes);
    } finally {
      this.#pauseEnds.set(repository, Date.now() + PAUSE_MILLISECONDS);
      this.#scheduled.delete(repository);
      if (this.#waiting.has(repository)) this.#schedule(repository);
    }
  }
}
