import type { JsonObject } from '../../model/json.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import type { TagMetadata } from '../tags/metadata.ts';
import type { Tags } from '../tags/tags.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import { noChanges, type TagChanges } from './index-images-queue.ts';
import type { ImageProjections } from './project-image.ts';
import type { IndexImagesUpdates } from './update-index-images.ts';

/** Projects tags ahead of the first v1 pull, when a v2 client has pushed or deleted them. */
export class TagProjections {
  readonly #tags: Tags;
  readonly #projections: ImageProjections;
  readonly #grants: ImageGrants;
  readonly #metadata: TagMetadata;
  readonly #indexImagesUpdates: IndexImagesUpdates;

  constructor(dependencies: {
    tags: Tags;
    projections: ImageProjections;
    grants: ImageGrants;
    metadata: TagMetadata;
    indexImagesUpdates: IndexImagesUpdates;
  }) {
    this.#tags = dependencies.tags;
    this.#projections = dependencies.projections;
    this.#grants = dependencies.grants;
    this.#metadata = dependencies.metadata;
    this.#indexImagesUpdates = dependencies.indexImagesUpdates;
  }

  /**
   * Projects a tag that was set, moved or deleted, and updates `_index_images`. It reads the tag as it is now, so it may run
   * late, twice, or in another order than the changes.
   */
  async update(repository: RepositoryName, tag: Tag): Promise<void> {
    await this.#indexImagesUpdates.update(repository, { ...noChanges(), ...(await this.project(repository, tag)) });
  }

  /**
   * Updates `_index_images` and tag metadata after the deletion of a tag. A tag that is there again is left to the event of its
   * push.
   */
  async updateDeleted(repository: RepositoryName, tag: Tag): Promise<void> {
    await this.#indexImagesUpdates.update(repository, { ...noChanges(), deletedTags: new Map([[tag, undefined]]) });
  }

  /**
   * Makes the projection of a tag, grants it to the repository, and writes the metadata of the tag.
   * @returns what that changes for `_index_images`; nothing where v1 has no form for what the tag names
   */
  async project(repository: RepositoryName, tag: Tag): Promise<Partial<TagChanges>> {
    const resolved = await this.#tags.find(repository, tag);
    if (!resolved) return { deletedTags: new Map([[tag, undefined]]) };
    const { target, lastModified } = resolved;
    const projection = await this.#projections.project(repository, target);
    if (!projection) return {};
    await this.#grants.grantByManifest(repository, projection.manifests, projection.ids);
    await this.#metadata.put(repository, tag, metadataOf(projection.config, lastModified));
    return { projections: new Set(projection.ids.slice(-1)), hasMovedTag: true };
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
