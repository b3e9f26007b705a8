import { LRUCache } from 'lru-cache';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import type { JsonObject } from '../../model/json.ts';
import { type Grant, layout, type TaggedImage, tagOf } from '../../model/layout.ts';
import { type Digest, hexOf, type ImageId, isImageId, type RepositoryName, type Tag } from '../../model/names.ts';
import { type ObjectInfo, type StorageDriver, StorageUnavailableError } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import { type IndexImages, indexedIds, type StoredIndex } from '../tags/index-images.ts';
import { removeLeftovers } from '../tags/leftovers.ts';
import type { TagMetadata } from '../tags/metadata.ts';
import { listManifests } from '../tags/resolve-tags.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { Images } from '../v1-images/images.ts';
import { noChanges, type TagChanges } from './index-upkeep.ts';
import type { ImageProjections } from './project-image.ts';

/** A tag as v1 shows it. */
export type V1Tag = { tag: Tag; id: ImageId };

/** Behind every push the list of images is brought in step exactly if there are no more tags than one listing gives. */
const MAX_TOLD_TAGS = 1000;
/** The same where each tag has to be read. */
const MAX_READ_TAGS = 100;

/** Of how many images without a tag one change finds out whether they were made from manifests. */
const MAX_LOOKS = 16;

/** How often the list of images may be written by others while it is brought in step. */
const MAX_TRIES = 20;

/** Of how many images it is remembered what they are, and of how many tags whether v1 shows them. */
const MAX_REMEMBERED = 20_000;
export const RECENT_MILLISECONDS = 5 * 60_000;

type TagListing = { objects: ObjectInfo[]; isWhole: boolean };

/** What v1 shows of the tags that v2 has moved or deleted. */
export class TagProjections {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #images: Images;
  readonly #views: ImageProjections;
  readonly #metadata: TagMetadata;
  readonly #index: IndexImages;
  readonly #grants: ImageGrants;
  /** A projection stays one. An image that was pushed may become one; then it is named for longer than it need be. */
  readonly #kinds = new LRUCache<ImageId, 'projection' | 'pushed'>({ max: MAX_REMEMBERED });
  readonly #recent = new LRUCache<string, boolean>({ max: MAX_REMEMBERED, ttl: RECENT_MILLISECONDS });

  constructor(
    storage: StorageDriver,
    dependencies: {
      tags: Tags;
      images: Images;
      views: ImageProjections;
      metadata: TagMetadata;
      index: IndexImages;
      grants: ImageGrants;
    },
  ) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#images = dependencies.images;
    this.#views = dependencies.views;
    this.#metadata = dependencies.metadata;
    this.#index = dependencies.index;
    this.#grants = dependencies.grants;
  }

  /**
   * Brings in step what lies beside a tag that was moved or deleted. It goes by the tag as it is now, so it does no harm if
   * it comes late, or twice, or in another order than the changes.
   */
  async update(repository: RepositoryName, tag: Tag): Promise<void> {
    await this.bringInStep(repository, { ...noChanges(), ...(await this.updateTag(repository, tag)) });
  }

  /**
   * The projection and the metadata of a tag that v2 has moved.
   * @returns what that changes in the list of images
   */
  async updateTag(repository: RepositoryName, tag: Tag): Promise<Partial<TagChanges>> {
    const resolved = await this.#tags.find(repository, tag);
    if (!resolved) return { deleted: new Map([[tag, undefined]]) };
    const { target, lastModified } = resolved;
    const config = await this.#views.provide(repository, target);
    if (!config) return {};
    await this.#metadata.put(repository, tag, metadataOf(config, lastModified));
    if (!target.imageId) return {};
    this.#kinds.set(target.imageId, 'projection');
    return { added: new Set([target.imageId]), hasMoved: true };
  }

  /**
   * Makes `_index_images` name what tags name, without those made from manifests that no tag names any more, and removes what
   * lies beside tags that are gone, or is left of the whole repository. One storage request for the list of images, one per
   * 1,000 tags unless all of it is known, those of `TagResolver`, one if the list changes, one for each tag that is gone.
   */
  async bringInStep(repository: RepositoryName, changes: TagChanges): Promise<void> {
    const { deleted, gone } = changes;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      // The list before the tags: what another push adds meanwhile changes it, and then both are read again.
      const index = await this.#index.read(repository);
      const listing = await this.#listFor(repository, changes);
      const dropped = await this.#findDropped(repository, { changes, index, ...listing });
      if (!(await this.#index.change(repository, index, { added: changes.added, dropped }))) continue;
      const present = new Set<string>(listing.objects.map(({ key }) => tagOf(key)));
      const absent = [...gone, ...[...deleted.keys()].filter((tag) => !present.has(tag))];
      await mapConcurrently(absent, (tag) => this.#metadata.delete(repository, tag));
      if (deleted.size > 0 && present.size === 0) await removeLeftovers(this.#storage, repository);
      return;
    }
    throw new StorageUnavailableError(`too many pushes write the list of images of ${repository} at once`);
  }

  /** All tags after a deletion. A push looks at no more than can be told apart quickly, and then only adds its image. */
  async #listFor(repository: RepositoryName, { deleted, hasMoved }: TagChanges): Promise<TagListing> {
    if (deleted.size === 0 && !hasMoved) return { objects: [], isWhole: false };
    const isToldByETag = this.#storage.etagOf(new Uint8Array()) !== undefined;
    const most = isToldByETag ? MAX_TOLD_TAGS : MAX_READ_TAGS;
    const objects: ObjectInfo[] = [];
    for await (const object of this.#tags.listObjects(repository)) {
      if (objects.length === most && deleted.size === 0) return { objects, isWhole: false };
      objects.push(object);
    }
    return { objects, isWhole: true };
  }

  /** The images that the list names, that were made from manifests, and that no tag names. */
  async #findDropped(
    repository: RepositoryName,
    { changes, index, objects, isWhole }: TagListing & { changes: TagChanges; index: StoredIndex },
  ): Promise<ReadonlySet<string>> {
    const ids = index.entries.flatMap(({ id }) => (isImageId(id) ? [id] : []));
    const dropped = new Set(changes.lost);
    const deleted = [...changes.deleted.values()];
    const isOpen = changes.hasMoved || deleted.includes(undefined);
    const wanted = isOpen ? ids : ids.filter((id) => deleted.includes(id));
    if (!isWhole || wanted.length === 0) return dropped;
    const tagged = new Set<string | undefined>(
      (await this.#tags.resolveObjects(repository, objects, { indexed: ids })).map(({ target }) => target.imageId),
    );
    const untagged = wanted.filter((id) => !tagged.has(id) && !dropped.has(id));
    const unknown = untagged.filter((id) => !this.#kinds.has(id));
    // Of a long list some, from anywhere: the next change looks at others.
    const start = Math.floor(Math.random() * unknown.length);
    const some = [...unknown.slice(start), ...unknown.slice(0, start)].slice(0, MAX_LOOKS);
    await mapConcurrently(some, async (id) => {
      this.#kinds.set(id, (await this.#views.find(id)) ? 'projection' : 'pushed');
    });
    for (const id of untagged) if (this.#kinds.get(id) === 'projection') dropped.add(id);
    return dropped;
  }

  /** The list of images of a repository that has tags but no list yet. */
  async makeIndex(repository: RepositoryName): Promise<Bytes | undefined> {
    const added = new Set((await this.list(repository)).map(({ id }) => id));
    if (added.size === 0) return undefined;
    await this.bringInStep(repository, { ...noChanges(), added });
    return await this.#index.find(repository);
  }

  /**
   * All tags that v1 can show. One storage request per 1,000 tags and per 1,000 manifests, and one for the list of images;
   * those of `resolve` for tags that name no manifest of this repository in that list, and were not found to be shown, or to
   * be artifacts, a few minutes ago.
   */
  async list(repository: RepositoryName): Promise<V1Tag[]> {
    const [indexed, manifests] = await Promise.all([
      indexedIds(this.#storage, repository),
      listManifests(this.#storage, repository),
    ]);
    const tags = await this.#tags.resolveAll(repository, { indexed, manifests });
    const images = tags.flatMap(({ tag, target: { imageId: id } }) => (id ? [{ tag, id }] : []));
    // A manifest is in the list once its projection is there.
    const held = new Set(manifests.map(hexOf));
    const known = new Set<string>(indexed.filter((id) => held.has(id)));
    const isKnown = ({ tag, id }: V1Tag) => (known.has(id) ? true : this.#recent.get(recentKey(repository, tag, id)));
    const open = tags.filter(({ tag, target: { imageId: id } }) => id && isKnown({ tag, id }) === undefined);
    const found = new Set((await this.resolve(repository, open)).map(({ tag }) => tag));
    for (const { tag, target } of open) {
      const isArtifact = !found.has(tag) && held.has(hexOf(target.digest));
      if (found.has(tag) || isArtifact) this.#recent.set(recentKey(repository, tag, target.imageId), !isArtifact);
    }
    return images.filter(({ tag, id }) => found.has(tag) || isKnown({ tag, id }));
  }

  /**
   * The tags that v1 can show, their images there to be asked for; artifacts are left out. What is not granted yet is now:
   * clients ask for tags before images.
   */
  async resolve(repository: RepositoryName, tags: readonly ResolvedTag[]): Promise<V1Tag[]> {
    const byTarget = Map.groupBy(tags, ({ target }) => target.digest);
    const shown = await mapConcurrently([...byTarget.values()], async (naming) =>
      (await this.#isShown(repository, naming)) ? naming.map(({ target }) => target.digest) : [],
    );
    const digests = new Set(shown.flat());
    return tags.flatMap(({ tag, target: { digest, imageId } }) =>
      imageId && digests.has(digest) ? [{ tag, id: imageId }] : [],
    );
  }

  /**
   * Two storage requests, side by side, and one more: whether the repository was granted the image. Further ones where it was
   * not, or the projection is still to be made.
   * @param naming tags of the repository that name the same
   */
  async #isShown(repository: RepositoryName, naming: readonly ResolvedTag[]): Promise<boolean> {
    const [{ tag, target } = {}] = naming;
    const imageId = target?.imageId;
    if (!tag || !imageId) return false;
    const [view, isManifest] = await Promise.all([
      this.#views.find(imageId),
      this.#storage.head(layout.manifest(repository, target.digest)),
    ]);
    if (!isManifest && !view) return await this.#grantTagged(repository, { tag, top: imageId });
    const grants = view ? await this.#grants.list(repository, imageId, 'projection') : [];
    if (!isManifest) {
      // Not if the tag named what a client had pushed under this id, which the projection has replaced since.
      const tags = new Set(naming.map((resolved) => resolved.tag));
      return grants.some(({ by }) => 'tag' in by && by.top === imageId && tags.has(by.tag));
    }
    // The process that made the projection may have ended before this repository was granted it.
    const isGranted = await this.#isGranted(repository, target.digest, grants);
    return (isGranted && view?.isComplete) || (await this.#views.provide(repository, target)) !== undefined;
  }

  /** By the manifest; of an index also by the child that v1 shows, which may be gone. */
  async #isGranted(repository: RepositoryName, digest: Digest, grants: readonly Grant[]): Promise<boolean> {
    const [, child] = grants.flatMap(({ by }) => (Array.isArray(by) && by[0] === digest ? [by] : []))[0] ?? [];
    if (child) return (await this.#storage.head(layout.manifest(repository, child))) !== undefined;
    return grants.some(({ by }) => Array.isArray(by) && by[0] === digest);
  }

  /** Of an image that docker-registry or an older version has tagged, or that lost its grants. */
  async #grantTagged(repository: RepositoryName, tagged: TaggedImage): Promise<true> {
    if (await this.#grants.hasGrantByTag(repository, tagged)) return true;
    const ancestry = await this.#images.findAncestry(tagged.top);
    const images = (ancestry ?? []).map((id) => ({ id, imageKind: 'pushed' as const }));
    try {
      await this.#grants.removeOutdated(repository, ancestry ?? []);
      await this.#grants.grantByTag(repository, tagged, images);
    } catch (error) {
      // Of a registry that may not write, which then knows no more grants than there are.
      if (!(error instanceof RegistryError && error.code === 'UNSUPPORTED')) throw error;
    }
    return true;
  }
}

function recentKey(repository: RepositoryName, tag: Tag, id: ImageId | undefined): string {
  return `${repository} ${tag} ${id}`;
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
