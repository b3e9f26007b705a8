import type { JsonObject } from '../../model/json.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { TagMetadata } from '../tags/metadata.ts';
import type { PushedManifest } from '../tags/pushed-manifest.ts';
import type { IsRepeated } from '../tags/tag-change.ts';
import type { Tags } from '../tags/tags.ts';
import { targetOf } from '../tags/target.ts';
import { noChanges, type TagChanges } from './index-images-queue.ts';
import type { ImageProjections } from './project-image.ts';
import type { IndexImagesUpdates } from './update-index-images.ts';

export type ProjectTagOptions = {
  /** The manifest that the tag was set to. Without it the tag is read. */
  pushed?: PushedManifest | undefined;
  isRepeated?: IsRepeated | undefined;
  isCurrent?: () => boolean;
};

/** For how many tags this process remembers that it has projected them. */
const MAX_REMEMBERED = 20_000;

/** Projects tags ahead of the first v1 pull, when a v2 client has pushed or deleted them. */
export class TagProjections {
  readonly #tags: Tags;
  readonly #projections: ImageProjections;
  readonly #metadata: TagMetadata;
  readonly #indexImagesUpdates: IndexImagesUpdates;

  /** What tags named when this process had projected them and written their metadata. */
  readonly #projected = new LruCache<string, Digest>({ max: MAX_REMEMBERED });

  /** Whether tags that are set are not projected: the first v1 request does that. */
  readonly isLazy: boolean;

  /** @param options.projectsLazily as in `RegistryOptions` */
  constructor(
    dependencies: {
      tags: Tags;
      projections: ImageProjections;
      metadata: TagMetadata;
      indexImagesUpdates: IndexImagesUpdates;
    },
    { projectsLazily }: { projectsLazily: boolean },
  ) {
    this.isLazy = projectsLazily;
    this.#tags = dependencies.tags;
    this.#projections = dependencies.projections;
    this.#metadata = dependencies.metadata;
    this.#indexImagesUpdates = dependencies.indexImagesUpdates;
  }

  /**
   * Projects a tag that was set, moved or deleted, and updates `_index_images`. It reads the tag as it is now, so it may run
   * late, twice, or in another order than the changes.
   */
  async update(repository: RepositoryName, tag: Tag): Promise<void> {
    const changes = await this.project(repository, tag);
    if (changes) await this.#indexImagesUpdates.update(repository, { ...noChanges(), ...changes });
  }

  /**
   * Updates `_index_images` and tag metadata after the deletion of a tag. A tag that is there again is left to the event of its
   * push.
   */
  async updateDeleted(repository: RepositoryName, tag: Tag): Promise<void> {
    await this.#indexImagesUpdates.update(repository, { ...noChanges(), deletedTags: new Map([[tag, undefined]]) });
  }

  /**
   * Makes the projection of a tag, grants it to the repository, and writes the metadata of the tag. For a tag that was read one
   * storage request more; two requests where a push was only repeated, and this process has done all of that for it.
   * @param options.isCurrent whether the tag has not been set again or deleted by this process
   * @returns what that changes for `_index_images`; `undefined` for nothing, as where v1 has no form for what the tag names
   */
  async project(
    repository: RepositoryName,
    tag: Tag,
    { pushed, isRepeated = async () => false, isCurrent = () => true }: ProjectTagOptions = {},
  ): Promise<Partial<TagChanges> | undefined> {
    const resolved = pushed
      ? { target: targetOf(pushed.digest), lastModified: new Date() }
      : await this.#tags.find(repository, tag);
    if (!resolved) return { deletedTags: new Map([[tag, undefined]]) };
    const { target, lastModified } = resolved;
    if (!target.imageId || this.isLazy) return undefined;
    const seen = await this.#projections.look(target.imageId);
    const isGranted = seen.manifestGrants.some(
      ({ repository: holder, by: [manifest] }) => holder === repository && manifest === target.digest,
    );
    const name = `${repository}:${tag}`;
    const isDone =
      this.#projected.get(name) === target.digest && this.#indexImagesUpdates.hasListed(repository, target.imageId);
    if (isGranted && isDone && (await isRepeated())) return undefined;
    const projection = await this.#projections.project(repository, target, { pushed, seen });
    if (!projection) return undefined;
    if (isCurrent()) {
      await this.#metadata.put(repository, tag, metadataOf(projection.config, lastModified));
      this.#projected.set(name, target.digest);
    }
    return { projections: new Set([projection.id]), hasMovedTag: true };
  }
}

/** Of what a v1 client records beside a tag, the fields that a config has. */
function metadataOf({ architecture, os, docker_version }: JsonObject, pushedAt: Date): JsonObject {
  return {
    last_update: Math.floor(pushedAt.getTime() / 1000),
    ...(typeof architecture === 'string' && { arch: architecture }),
    ...(typeof os === 'string' && { os }),
    ...(typeof docker_version === 'string' && docker_version !== '' && { docker_version }),
  };
}
