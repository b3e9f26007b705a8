import type { RepositoryName, Tag } from '../../model/names.ts';
import type { TagMetadata } from './metadata.ts';
import type { OnTagChange } from './tag-change.ts';
import type { Tags } from './tags.ts';
import type { ResolvedTag } from './target.ts';

/** Deletes single tags, for v1 and v2. What they name stays; `on-tag-change.ts` updates the rest in the background. */
export class TagDeletion {
  readonly #tags: Tags;
  readonly #metadata: TagMetadata;
  readonly #onTagChange: OnTagChange;

  constructor(dependencies: { tags: Tags; metadata: TagMetadata; onTagChange: OnTagChange }) {
    this.#tags = dependencies.tags;
    this.#metadata = dependencies.metadata;
    this.#onTagChange = dependencies.onTagChange;
  }

  /**
   * Two storage requests; where the metadata is deleted `at once`, also those of `TagMetadata.delete`.
   * @param by the caller's name
   * @param metadata when its metadata is deleted: `at once`, before the answer, or `later`, in the background
   * @returns false if there is no such tag
   */
  async delete(repository: RepositoryName, tag: Tag, by: string, metadata: 'at once' | 'later'): Promise<boolean> {
    const found = await this.#tags.delete(repository, tag, by);
    if (!found) return false;
    // A tag that has moved meanwhile belongs to a later push, and stays.
    if (found.isDeleted && metadata === 'at once') await this.#metadata.delete(repository, [tag]);
    this.#onTagChange(repository, { deleted: tag, target: found.target });
    return true;
  }

  /**
   * Deletes a tag that was resolved just now; its metadata is deleted in the background. One storage request.
   * @param by the caller's name, or the plan's
   * @returns false if it has moved since; then it stays
   */
  async deleteResolved(repository: RepositoryName, resolved: ResolvedTag, by: string): Promise<boolean> {
    if (!(await this.#tags.deleteIfUnchanged(repository, resolved, by))) return false;
    this.#onTagChange(repository, { deleted: resolved.tag, target: resolved.target });
    return true;
  }

  /** Deletes a tag and its metadata, unless the tag has moved since it was resolved. Reports no tag change. */
  async deleteWithMetadata(repository: RepositoryName, resolved: ResolvedTag, by: string): Promise<void> {
    if (!(await this.#tags.deleteIfUnchanged(repository, resolved, by))) return;
    await this.#metadata.delete(repository, [resolved.tag]);
  }
}
