import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { subjectOfTag } from '../../model/attached-tag.ts';
import { RegistryError } from '../../model/errors.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { TagRestoration } from '../history/restore-tag.ts';
import type { TagHistory } from '../history/tag-history.ts';
import type { TagDeletion } from '../tags/delete-tag.ts';
import type { Tags } from '../tags/tags.ts';
import { type ResolvedTag, targetOf } from '../tags/target.ts';
import type { PlannedTag } from './plan-record.ts';
import type { TagPlanner } from './plan-tags.ts';

type DeletionOptions = {
  /** The plan, as the history names it. */
  by: string;
  /** Is called for each tag, once it is deleted. */
  onDeleted: (planned: PlannedTag) => void;
};

/** Deletes and restores tags that plans list, each only if it still is as the plan found, or left, it. */
export class PlannedTags {
  readonly #tags: Tags;
  readonly #tagDeletion: TagDeletion;
  readonly #history: TagHistory;
  readonly #restoration: TagRestoration;
  readonly #planner: TagPlanner;

  constructor(dependencies: {
    tags: Tags;
    tagDeletion: TagDeletion;
    history: TagHistory;
    restoration: TagRestoration;
    planner: TagPlanner;
  }) {
    this.#tags = dependencies.tags;
    this.#tagDeletion = dependencies.tagDeletion;
    this.#history = dependencies.history;
    this.#restoration = dependencies.restoration;
    this.#planner = dependencies.planner;
  }

  /** @returns why the tag is not restored; undefined if it is */
  async restore(
    { repository, tag, digest }: PlannedTag,
    { deletedBy, by }: { deletedBy: string; by: string },
  ): Promise<string | undefined> {
    if (await this.#tags.find(repository, tag)) return 'there is such a tag';
    const { moves } = await this.#history.list(repository, tag, { size: 1 });
    const [newest] = moves;
    // The entry of a deletion is missing if the process ended before it was written, and then the newest is that of a push.
    if (newest && !newest.to && newest.by !== deletedBy) return `${newest.by ?? 'another caller'} has deleted it`;
    if (newest?.to && newest.to.digest !== digest) return 'it has moved since the plan was made';
    try {
      await this.#restoration.restore(repository, { tag, before: undefined, to: targetOf(digest) }, by);
      return undefined;
    } catch (error) {
      if (error instanceof RegistryError && error.code !== 'UNAVAILABLE') return error.message;
      throw error;
    }
  }

  /**
   * Deletes tags; those attached to images after the tags of their images.
   * @returns for each why it stays; undefined if it is deleted
   */
  async deleteAll(planned: readonly PlannedTag[], options: DeletionOptions): Promise<(string | undefined)[]> {
    const isAttached = ({ tag }: PlannedTag) => subjectOfTag(tag) !== undefined;
    const outcomes = await mapConcurrently(planned, async (item) =>
      isAttached(item) ? undefined : await this.#delete(item, options),
    );
    // After the tags of their images, in the order of the repositories.
    for (const [repository, items] of Map.groupBy(planned.filter(isAttached), (item) => item.repository)) {
      const reasons = await this.#deleteAttached(repository, items, options);
      for (const [item, why] of reasons) outcomes[planned.indexOf(item)] = why;
    }
    return outcomes;
  }

  /** @returns why the tag stays; undefined if it is deleted */
  async #delete(planned: PlannedTag, { by, onDeleted }: DeletionOptions): Promise<string | undefined> {
    const { repository, tag, digest, lastModified } = planned;
    const found = await this.#tags.find(repository, tag);
    if (!found) return 'there is no such tag any more';
    if (found.target.digest !== digest) return `it names ${found.target.digest} by now`;
    if (secondOf(found.lastModified) !== secondOf(new Date(lastModified))) return 'it was pushed again';
    if (this.#tags.isImmutable(repository, tag)) return 'it is immutable';
    if (!(await this.#tagDeletion.deleteResolved(repository, found, by))) return 'it has just moved';
    onDeleted(planned);
    return undefined;
  }

  /** Deletes attached tags, but those whose image has got another tag since. */
  async #deleteAttached(
    repository: RepositoryName,
    planned: readonly PlannedTag[],
    options: DeletionOptions,
  ): Promise<Map<PlannedTag, string | undefined>> {
    const all = await this.#tags.resolveAll(repository);
    const isAttached = ({ tag }: ResolvedTag) => subjectOfTag(tag) !== undefined;
    const verdicts = await this.#planner.judgeAttached(repository, {
      attached: all.filter(isAttached),
      staying: all.filter((tag) => !isAttached(tag)),
      deleted: [],
      nowMs: Date.now(),
    });
    const reasons = await mapConcurrently(planned, async (item) => {
      const verdict = verdicts.get(item.tag);
      return [item, verdict?.isImageTagged ? verdict.reason : await this.#delete(item, options)] as const;
    });
    return new Map(reasons);
  }
}

/** Listings have LastModified to the millisecond, headers to the second. */
function secondOf(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
