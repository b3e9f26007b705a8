import type { Bytes } from '../bytes.ts';
import { mapConcurrently } from '../concurrency.ts';
import type { JsonObject } from '../json.ts';
import { layout } from '../layout.ts';
import type { ImageId, RepositoryName, Tag } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { ImageOwners } from './image-owners.ts';
import type { ImageViews } from './image-views.ts';
import type { IndexImages } from './index-images.ts';
import type { TagMetadata } from './tag-metadata.ts';
import type { ResolvedTag, Tags, TagTarget } from './tags.ts';

/** A tag as v1 shows it. */
export type V1Tag = { tag: Tag; id: ImageId };

/** Bringing the list of images in step takes a few requests for each tag, behind every push. */
const MAX_EXACT_TAGS = 100;

/** What v1 shows of the tags that v2 has moved or deleted. */
export class TagViews {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #views: ImageViews;
  readonly #metadata: TagMetadata;
  readonly #index: IndexImages;
  readonly #owners: ImageOwners;

  constructor(
    storage: StorageDriver,
    dependencies: { tags: Tags; views: ImageViews; metadata: TagMetadata; index: IndexImages; owners: ImageOwners },
  ) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#views = dependencies.views;
    this.#metadata = dependencies.metadata;
    this.#index = dependencies.index;
    this.#owners = dependencies.owners;
  }

  /**
   * Brings in step what lies beside a tag that v2 has moved or deleted. It goes by the tag as it is now, so it does no
   * harm if it comes late, or twice, or in another order than the changes.
   */
  async update(repository: RepositoryName, tag: Tag): Promise<void> {
    const resolved = await this.#tags.find(repository, tag);
    const config = resolved && (await this.#views.provide(repository, resolved.target));
    if (!resolved) await this.#metadata.delete(repository, tag);
    if (config) await this.#metadata.put(repository, tag, metadataOf(config, resolved.lastModified));
    if (!resolved || config) await this.#bringIndexInStep(repository, config && resolved?.target.imageId);
  }

  /** Exactly, where that is cheap; in a repository of many tags a push only adds its image. */
  async #bringIndexInStep(repository: RepositoryName, pushed: ImageId | undefined): Promise<void> {
    const tags = await Array.fromAsync(this.#tags.list(repository));
    if (!pushed || tags.length <= MAX_EXACT_TAGS) await this.updateIndex(repository);
    else await this.#index.replace(repository, [pushed], async () => true);
  }

  /** The list of images of a repository that has tags but no list yet. */
  async makeIndex(repository: RepositoryName): Promise<Bytes | undefined> {
    await this.updateIndex(repository);
    return await this.#index.find(repository);
  }

  /** Makes `_index_images` name the images that tags name, without those of v2 that no tag names any more. */
  async updateIndex(repository: RepositoryName): Promise<void> {
    const tagged = await this.resolve(repository, await this.#tags.resolveAll(repository));
    const current = new Set(tagged.map(({ id }) => id));
    await this.#index.replace(repository, [...current], async (id) => !(await this.#views.find(id)));
  }

  /** The tags that v1 can show, their images there to be asked for; artifacts are left out. */
  async resolve(repository: RepositoryName, tags: readonly ResolvedTag[]): Promise<V1Tag[]> {
    const targets = new Map(tags.map(({ target }) => [target.digest, target]));
    const shown = await mapConcurrently([...targets.values()], async (target) =>
      (await this.#isShown(repository, target)) ? [target.digest] : [],
    );
    const digests = new Set(shown.flat());
    return tags.flatMap(({ tag, target: { digest, imageId } }) =>
      imageId && digests.has(digest) ? [{ tag, id: imageId }] : [],
    );
  }

  /**
   * Two storage requests, side by side, and one more for a view, unless that is still to be made, or to be given to this
   * repository. One of a manifest that this repository does not hold it shows if somebody tagged it who may read it, not if
   * the tag named another image under this id.
   */
  async #isShown(repository: RepositoryName, target: TagTarget): Promise<boolean> {
    const { imageId } = target;
    if (!imageId) return false;
    const [view, isManifest] = await Promise.all([
      this.#views.find(imageId),
      this.#storage.head(layout.manifest(repository, target.digest)),
    ]);
    const isOwner = view !== undefined && (await this.#owners.ownsView(repository, imageId));
    if (!isManifest) return view === undefined || isOwner;
    // Whoever made the view may have ended before this repository had it.
    return (isOwner && view.isMade) || (await this.#views.provide(repository, target)) !== undefined;
  }
}

/** What is known of who pushed: less than a v1 client tells. */
function metadataOf({ architecture, os, docker_version }: JsonObject, pushed: Date): JsonObject {
  return {
    last_update: Math.floor(pushed.getTime() / 1000),
    ...(typeof architecture === 'string' && { arch: architecture }),
    ...(typeof os === 'string' && { os }),
    ...(typeof docker_version === 'string' && docker_version !== '' && { docker_version }),
  };
}
