// Updates `_index_images` and tag metadata after tags have changed.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { tagOf } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { ImageId, RepositoryName, Tag } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import type { IndexImages } from '../tags/index-images.ts';
import { removeLeftovers } from '../tags/leftovers.ts';
import type { TagMetadata } from '../tags/metadata.ts';
import type { Tags } from '../tags/tags.ts';
import { hasProjectionRecord } from '../v1-images/projection-record.ts';
import type { TagChanges } from './index-images-queue.ts';

/** Up to this number of tags, a push that moves a tag also removes images that have no tag left: one listing request. */
const MAX_LISTED_TAGS = 1000;
/** The same where the ETags of a listing do not tell what tags name, so that each tag is read. */
const MAX_READ_TAGS = 100;

/** For how many images without a tag one update asks storage whether they are projections. */
const MAX_LOOKUPS = 16;

/** For how many images this process remembers whether they are projections. */
const MAX_REMEMBERED = 20_000;

/** The objects of tags, and whether they are all of the repository's. */
type TagListing = { objects: ObjectInfo[]; isWhole: boolean };

export class IndexImagesUpdates {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #metadata: TagMetadata;
  readonly #indexImages: IndexImages;
  /**
   * Whether images are projections. A projection never becomes anything else. A pushed image may become a projection; then
   * `_index_images` names it for longer than needed.
   */
  readonly #areProjections = new LruCache<ImageId, boolean>({ max: MAX_REMEMBERED });

  constructor(storage: StorageDriver, dependencies: { tags: Tags; metadata: TagMetadata; indexImages: IndexImages }) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#metadata = dependencies.metadata;
    this.#indexImages = dependencies.indexImages;
  }

  /**
   * Adds projections that tags name now to `_index_images`, removes projections that no tag names, deletes the metadata of
   * deleted tags, and deletes what is left of a repository without tags and manifests. One storage request to read the list,
   * one per 1,000 tags after a deletion or a move, those of `TagResolver`, one if the list changes, one for each deleted tag.
   */
  async update(repository: RepositoryName, changes: TagChanges): Promise<void> {
    for (const id of changes.projections) this.#areProjections.set(id, true);
    let listing: TagListing = { objects: [], isWhole: false };
    await this.#indexImages.update(repository, async (ids) => {
      // The tags are listed after the list is read. Where another push adds an image in between, both are read again.
      listing = await this.#listTags(repository, changes);
      return { added: changes.projections, removed: await this.#findRemoved(repository, ids, { changes, listing }) };
    });
    const present = new Set<Tag>(listing.objects.map(({ key }) => tagOf(key)));
    const absent = [...changes.absentTags, ...[...changes.deletedTags.keys()].filter((tag) => !present.has(tag))];
    await mapConcurrently(absent, (tag) => this.#metadata.delete(repository, tag));
    if (changes.deletedTags.size > 0 && present.size === 0) await removeLeftovers(this.#storage, repository);
  }

  /** All tags after a deletion; after a move only if they are few enough; else none. */
  async #listTags(repository: RepositoryName, { deletedTags, hasMovedTag }: TagChanges): Promise<TagListing> {
    if (deletedTags.size === 0 && !hasMovedTag) return { objects: [], isWhole: false };
    const hasTellingETags = this.#storage.etagOf(new Uint8Array()) !== undefined;
    const most = hasTellingETags ? MAX_LISTED_TAGS : MAX_READ_TAGS;
    const objects: ObjectInfo[] = [];
    for await (const object of this.#tags.listObjects(repository)) {
      if (objects.length === most && deletedTags.size === 0) return { objects, isWhole: false };
      objects.push(object);
    }
    return { objects, isWhole: true };
  }

  /**
   * The projections of deleted manifests, and of the listed ids those projections that no tag names. Pushed images stay.
   * @param ids in `_index_images`
   */
  async #findRemoved(
    repository: RepositoryName,
    ids: readonly ImageId[],
    { changes, listing }: { changes: TagChanges; listing: TagListing },
  ): Promise<ReadonlySet<ImageId>> {
    const removed = new Set(changes.deletedProjections);
    const formerTargets = [...changes.deletedTags.values()];
    const mayBeAny = changes.hasMovedTag || formerTargets.includes(undefined);
    const candidates = mayBeAny ? ids : ids.filter((id) => formerTargets.includes(id));
    if (!listing.isWhole || candidates.length === 0) return removed;
    const resolved = await this.#tags.resolveObjects(repository, listing.objects, { indexed: ids });
    const tagged = new Set<string | undefined>(resolved.map(({ target }) => target.imageId));
    const untagged = candidates.filter((id) => !tagged.has(id) && !removed.has(id));
    await this.#lookUpKinds(untagged.filter((id) => !this.#areProjections.has(id)));
    for (const id of untagged) if (this.#areProjections.get(id)) removed.add(id);
    return removed;
  }

  /** Looks up 16 images, from a random place on, so that several updates cover a long list. */
  async #lookUpKinds(ids: readonly ImageId[]): Promise<void> {
    const start = Math.floor(Math.random() * ids.length);
    const chosen = [...ids.slice(start), ...ids.slice(0, start)].slice(0, MAX_LOOKUPS);
    await mapConcurrently(chosen, async (id) => {
      this.#areProjections.set(id, await hasProjectionRecord(this.#storage, id));
    });
  }
}
