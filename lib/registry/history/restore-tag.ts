import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { type ImageKind, layout, parseImageRecord, type TaggedImage } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName, Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Manifests } from '../manifests/manifests.ts';
import { type TagMetadata, tagMetadata } from '../tags/metadata.ts';
import type { OnTagChange } from '../tags/tag-change.ts';
import type { Tags } from '../tags/tags.ts';
import { type ResolvedTag, showTarget, type TagTarget } from '../tags/target.ts';
import { lookAtImage } from '../v1-images/image-cell.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import type { Images } from '../v1-images/images.ts';
import { isProjection } from '../v1-images/projection-record.ts';
import type { ShownMove, TagHistory } from './tag-history.ts';

/** Moves that are read at once in search of the chosen one. */
const PAGE = 100;

/**
 * What a tag shall name again: what it named before its last move, what a move in its history set it to, a digest that its
 * history shows, or what it named at a time.
 */
export type RestoreChoice = 'previous' | { entry: string } | { digest: Digest } | { at: Date };

/** A restoration that has not been carried out yet. */
export type RestorePlan = { tag: Tag; before: ResolvedTag | undefined; to: TagTarget };

/** Makes tags name again what their history shows. */
export class TagRestoration {
  readonly #storage: StorageDriver;
  readonly #history: TagHistory;
  readonly #tags: Tags;
  readonly #manifests: Manifests;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #metadata: TagMetadata;
  readonly #onTagChange: OnTagChange;

  constructor(
    storage: StorageDriver,
    dependencies: {
      history: TagHistory;
      tags: Tags;
      manifests: Manifests;
      images: Images;
      looks: ImageLooks;
      metadata: TagMetadata;
      onTagChange: OnTagChange;
    },
  ) {
    this.#storage = storage;
    this.#history = dependencies.history;
    this.#tags = dependencies.tags;
    this.#manifests = dependencies.manifests;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#metadata = dependencies.metadata;
    this.#onTagChange = dependencies.onTagChange;
  }

  /**
   * Finds what to restore, and writes nothing. One storage request for the tag, and those of `TagHistory.list`.
   * @throws RegistryError MANIFEST_UNKNOWN if the history does not show it
   */
  async plan(repository: RepositoryName, tag: Tag, choice: RestoreChoice): Promise<RestorePlan> {
    const before = await this.#tags.find(repository, tag);
    let oldest: ShownMove | undefined;
    let after: string | undefined;
    do {
      const { moves, next } = await this.#history.list(repository, tag, { after, size: PAGE });
      for (const move of moves) {
        const found = chosenBy(choice, move, before);
        if (found === 'a deletion') throw notShown(repository, tag, `names nothing at this point: it was deleted`);
        if (found) return { tag, before, to: found };
      }
      oldest = moves.at(-1) ?? oldest;
      after = next;
    } while (after !== undefined);
    if (!oldest) throw notShown(repository, tag, 'has no history');
    if (typeof choice === 'object' && 'at' in choice && oldest.from) return { tag, before, to: oldest.from };
    if (choice === 'previous')
      throw notShown(repository, tag, 'has a history without an earlier move: it names nothing else');
    throw notShown(repository, tag, 'has a history that does not show this');
  }

  /**
   * Carries out a plan, unless the tag has moved since. For a manifest the storage requests of a push of it, without those for
   * its bytes; for a v1 image four for each image of its ancestry, and three. What the collector has condemned is live afterwards.
   * @param by the caller's name
   * @returns what the tag names now: a manifest of the repository, or a v1 image
   * @throws RegistryError PRECONDITION_FAILED if the tag has moved; DENIED if it is immutable; MANIFEST_UNKNOWN,
   *   MANIFEST_BLOB_UNKNOWN if something is no longer there; UNAVAILABLE if the collector is removing an image
   */
  async restore(repository: RepositoryName, plan: RestorePlan, by: string): Promise<'manifest' | 'image'> {
    const { tag, to } = plan;
    const outcome = await this.#restoreManifest(repository, plan, by);
    if (outcome === 'tag is set') return 'manifest';
    if (outcome === 'tag has changed') throw hasMoved(repository, tag);
    if (to.imageId && (await this.#restoreImage(repository, plan, to.imageId, by))) return 'image';
    const message = `${repository} no longer holds ${showTarget(to)}, which ${tag} named: push it again`;
    throw new RegistryError('MANIFEST_UNKNOWN', message, { detail: { tag, digest: to.digest } });
  }

  async #restoreManifest(repository: RepositoryName, { tag, before, to }: RestorePlan, by: string) {
    try {
      return await this.#manifests.moveTag(repository, tag, to.digest, { before, by });
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'MANIFEST_BLOB_UNKNOWN') throw error;
      const message = `${repository} still holds the manifest ${to.digest}, but not all that it names: push it again`;
      throw new RegistryError('MANIFEST_BLOB_UNKNOWN', message, { cause: error, detail: error.detail });
    }
  }

  /** @returns false if an image of the ancestry is gone, or the repository no longer has a right to it */
  async #restoreImage(
    repository: RepositoryName,
    { tag, before, to }: RestorePlan,
    top: ImageId,
    by: string,
  ): Promise<boolean> {
    const look = this.#looks.start();
    const ancestry = (await this.#images.findAncestry(top)) ?? [top];
    const areHeld = await mapConcurrently(ancestry, async (id) => {
      if (!(await this.#isHeld(repository, id, { tag, top }))) return false;
      await lookAtImage(this.#storage, id, { look });
      return await this.#images.exists(id);
    });
    if (areHeld.includes(false)) return false;
    if (!(await this.#tags.moveTo(repository, tag, to, { before, look, by }))) throw hasMoved(repository, tag);
    this.#onTagChange(repository, { moved: tag });
    await this.#metadata.put(repository, tag, tagMetadata('', new Date()));
    return true;
  }

  /**
   * Whether the tag granted this image to the repository when it named `top`: such a grant is valid again once the tag names it
   * again. An image of docker-registry that no client has pulled since has no records at all.
   */
  async #isHeld(repository: RepositoryName, id: ImageId, tagged: TaggedImage): Promise<boolean> {
    const kind: ImageKind = (await isProjection(this.#storage, id)) ? 'projection' : 'pushed';
    if (await this.#storage.head(layout.tagGrant(id, kind, repository, tagged))) return true;
    if (kind === 'projection') return false;
    for await (const { key } of this.#storage.list(layout.imageRecords(id))) {
      if (parseImageRecord(key)) return false;
    }
    return true;
  }
}

/** What the choice means at this move; `undefined` if it means another one. */
function chosenBy(
  choice: RestoreChoice,
  { entry, at, from, to }: ShownMove,
  before: ResolvedTag | undefined,
): TagTarget | 'a deletion' | undefined {
  if (choice === 'previous') return [to, from].find((target) => target && target.digest !== before?.target.digest);
  if ('digest' in choice) return [to, from].find((target) => target?.digest === choice.digest);
  const isChosen = 'entry' in choice ? entry === choice.entry : at <= choice.at;
  return isChosen ? (to ?? 'a deletion') : undefined;
}

function notShown(repository: RepositoryName, tag: Tag, problem: string): RegistryError {
  return new RegistryError('MANIFEST_UNKNOWN', `${tag} of ${repository} ${problem}`, { detail: { tag } });
}

function hasMoved(repository: RepositoryName, tag: Tag): RegistryError {
  return new RegistryError(
    'PRECONDITION_FAILED',
    `${tag} of ${repository} has moved meanwhile: look at its history again`,
    {
      detail: { tag },
    },
  );
}
