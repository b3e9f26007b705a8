// Updates `_index_images` and tag metadata after tags have changed.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { tagOf } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { hexOf, type ImageId, type RepositoryName, type Tag } from '../../model/names.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { IndexImages } from '../tags/index-images.ts';
import { removeLeftovers } from '../tags/leftovers.ts';
import type { TagMetadata } from '../tags/metadata.ts';
import { manifestDigests } from '../tags/resolve-tags.ts';
import type { Tags } from '../tags/tags.ts';
import { isProjection } from '../v1-images/projection-record.ts';
import type { TagChanges } from './index-images-queue.ts';

/** The keys of one listing request. */
const PAGE = 1000;

/** Up to this number of tags, a push that moves a tag also removes images that have no tag left: one listing request. */
const MAX_LISTED_TAGS = PAGE;
/** The same where the ETags of a listing do not tell what tags name, so that each tag is read. */
const MAX_READ_TAGS = 100;

/**
 * How many requests the deletion of a tag has left, of eight, or nine where DELETE is not conditional: the tag is read and
 * deleted, its history is written, the list is read and written, its metadata is deleted.
 */
const LEFT_FOR_DELETION = 8 - 6;

/** For how many images without a tag an update after a push asks storage whether they are projections. */
const MAX_LOOKUPS = 6;

/** For how many images this process remembers whether they are projections. */
const MAX_REMEMBERED = 20_000;

/** The objects of tags, and whether they are all of the repository's. */
type TagListing = { objects: ObjectInfo[]; isWhole: boolean };

const NO_LISTING: TagListing = { objects: [], isWhole: false };

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
  /** Projections that this process has added to `_index_images`, by repository and id. */
  readonly #listed = new LruCache<string, true>({ max: MAX_REMEMBERED });

  constructor(storage: StorageDriver, dependencies: { tags: Tags; metadata: TagMetadata; indexImages: IndexImages }) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#metadata = dependencies.metadata;
    this.#indexImages = dependencies.indexImages;
  }

  /** Whether this process has added the projection to `_index_images`, and has not removed it since. No storage request. */
  hasListed(repository: RepositoryName, id: ImageId): boolean {
    return this.#listed.has(`${repository} ${id}`);
  }

  /**
   * Adds projections that tags name now to `_index_images`, removes projections that no tag names, deletes the metadata of
   * deleted tags, and deletes what is left of a repository without tags and manifests. Where a deletion would take more than
   * eight requests, because the repository has too many tags to list them, projections without a tag stay until a later update.
   */
  async update(repository: RepositoryName, changes: TagChanges): Promise<void> {
    for (const id of changes.projections) this.#areProjections.set(id, true);
    let listing = NO_LISTING;
    let manifests: ReadonlySet<string> | undefined;
    let removed: ReadonlySet<ImageId> = changes.deletedProjections;
    await this.#indexImages.update(repository, async (ids) => {
      manifests = undefined;
      removed = changes.deletedProjections;
      const candidates = candidatesOf(ids, changes);
      if (candidates.length === 0 && changes.deletedTags.size === 0) {
        return { added: changes.projections, removed };
      }
      const hasUnknown = candidates.some((id) => !this.#areProjections.has(id));
      const left = LEFT_FOR_DELETION + ((await this.#storage.honorsDeleteConditions()) ? 0 : 1);
      // The tags are listed after the list is read. Where another push adds an image in between, both are read again.
      listing = await this.#listTags(repository, changes, { maxPages: left - (hasUnknown ? 1 : 0) });
      if (!listing.isWhole) return { added: changes.projections, removed };
      if (listing.objects.length === 0) manifests = new Set(await this.#firstManifests(repository));
      const untagged = await this.#withoutTag(repository, candidates, listing);
      const pages = Math.max(1, Math.ceil(listing.objects.length / PAGE));
      const maxLookups = changes.deletedTags.size === 0 ? MAX_LOOKUPS : Math.max(1, left - pages);
      // Where no tag is left, the manifests tell.
      if (!manifests) await this.#lookUpKinds(untagged, maxLookups);
      const unused = untagged.filter((id) => this.#areProjections.get(id) ?? manifests?.has(id));
      removed = new Set([...unused, ...changes.deletedProjections]);
      return { added: changes.projections, removed };
    });
    for (const id of removed) this.#listed.delete(`${repository} ${id}`);
    for (const id of changes.projections) this.#listed.set(`${repository} ${id}`, true);
    await this.#metadata.delete(repository, await this.#absentTags(repository, changes, listing));
    if (changes.deletedTags.size > 0 && manifests?.size === 0) await removeLeftovers(this.#storage, repository);
  }

  /** All tags after a deletion or a move, unless they are too many; else none. */
  async #listTags(
    repository: RepositoryName,
    { deletedTags, hasMovedTag }: TagChanges,
    { maxPages }: { maxPages: number },
  ): Promise<TagListing> {
    if (deletedTags.size === 0 && !hasMovedTag) return NO_LISTING;
    const hasTellingETags = this.#storage.etagOf(new Uint8Array()) !== undefined;
    const maxAfterPush = hasTellingETags ? MAX_LISTED_TAGS : MAX_READ_TAGS;
    const maxAfterDeletion = hasTellingETags ? maxPages * PAGE : Number.POSITIVE_INFINITY;
    const max = deletedTags.size === 0 ? maxAfterPush : maxAfterDeletion;
    const objects: ObjectInfo[] = [];
    for await (const object of this.#tags.listObjects(repository)) {
      objects.push(object);
      // To ask for the next object may take a request.
      if (objects.length === max) return { objects, isWhole: false };
    }
    return { objects, isWhole: true };
  }

  /** The hex of manifests of the repository, up to 1,000. One storage request. */
  async #firstManifests(repository: RepositoryName): Promise<string[]> {
    const found: string[] = [];
    for await (const digest of manifestDigests(this.#storage, repository)) {
      found.push(hexOf(digest));
      if (found.length === PAGE) break;
    }
    return found;
  }

  /**
   * Those of the candidates that no tag names. No storage request where ETags are MD5s: a tag that names a candidate has the ETag
   * of its digits, unless it was written under another encryption than the objects that this process has seen. Then the list
   * lacks its image until the tag is pushed again. Where ETags are no MD5s, the storage requests of `TagResolver`.
   */
  async #withoutTag(
    repository: RepositoryName,
    candidates: readonly ImageId[],
    { objects }: TagListing,
  ): Promise<readonly ImageId[]> {
    if (candidates.length === 0 || objects.length === 0) return candidates;
    if (this.#storage.etagOf(new Uint8Array()) !== undefined) {
      const etags = new Set<ETag | undefined>(objects.map(({ etag }) => etag));
      return candidates.filter((id) => !etags.has(this.#storage.etagOf(encodeText(id))));
    }
    const resolved = await this.#tags.resolveObjects(repository, objects);
    const tagged = new Set<string | undefined>(resolved.map(({ target }) => target.imageId));
    return candidates.filter((id) => !tagged.has(id));
  }

  /** Asks storage whether unknown images are projections, from a random one on, so that several updates cover a long list. */
  async #lookUpKinds(images: readonly ImageId[], max: number): Promise<void> {
    const ids = images.filter((id) => !this.#areProjections.has(id));
    const start = Math.floor(Math.random() * ids.length);
    const chosen = [...ids.slice(start), ...ids.slice(0, start)].slice(0, max);
    await mapConcurrently(chosen, async (id) => {
      this.#areProjections.set(id, await isProjection(this.#storage, id));
    });
  }

  /** The deleted tags that no push has set again. One storage request for each that the listing does not tell of. */
  async #absentTags(
    repository: RepositoryName,
    { absentTags, deletedTags }: TagChanges,
    { objects, isWhole }: TagListing,
  ): Promise<Tag[]> {
    const listed = new Set<Tag>(objects.map(({ key }) => tagOf(key)));
    const missing = [...deletedTags.keys()].filter((tag) => !listed.has(tag));
    const found = isWhole ? [] : await mapConcurrently(missing, (tag) => this.#tags.find(repository, tag));
    return [...absentTags, ...missing.filter((_, index) => found[index] === undefined)];
  }
}

/** The images that may have lost their last tag. @param ids in `_index_images` */
function candidatesOf(ids: readonly ImageId[], changes: TagChanges): readonly ImageId[] {
  const { projections, deletedProjections, deletedTags, hasMovedTag } = changes;
  const formerTargets = [...deletedTags.values()];
  const mayBeAny = hasMovedTag || formerTargets.includes(undefined);
  const others = ids.filter((id) => !projections.has(id) && !deletedProjections.has(id));
  return mayBeAny ? others : others.filter((id) => formerTargets.includes(id));
}
