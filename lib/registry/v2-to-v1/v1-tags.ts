// Tags and images of a repository as v1 clients get them. A tag that a v2 client pushed is projected at the latest here.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import type { Grant, TaggedImage } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { type Digest, hexOf, type ImageId, type RepositoryName, type Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import { hasManifest } from '../condemned/read-manifest.ts';
import { type IndexImages, indexedIds } from '../tags/index-images.ts';
import { listManifests } from '../tags/resolve-tags.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag, TagTarget } from '../tags/target.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { Images } from '../v1-images/images.ts';
import { findProjectionRecord } from '../v1-images/projection-record.ts';
import type { ImageProjections } from './project-image.ts';

/** Up to this number of tags, looking at each costs no more than a listing of the facts. */
const FEW = 2;

/** What a manifest is, as its facts say: `image`, `index`, or a kind of artifact. */
export type KnownKinds = { kinds(repository: RepositoryName): Promise<ReadonlyMap<Digest, string>> };

/** A tag, and the v1 image that clients pull by it. */
export type V1Tag = { tag: Tag; id: ImageId };

/** A tag whose 64 digits may be an image id. A tag of a SHA-512 digest is invisible to v1. */
type ImageTag = ResolvedTag & { target: ImageTarget };
type ImageTarget = Required<TagTarget>;

const MAX_REMEMBERED = 20_000;
export const RECENT_MILLISECONDS = 5 * 60_000;

export class V1Tags {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #images: Images;
  readonly #projections: ImageProjections;
  readonly #grants: ImageGrants;
  readonly #indexImages: IndexImages;
  readonly #facts: KnownKinds;
  readonly #projectsLazily: boolean;
  /** Whether v1 clients can pull a tag, by repository, tag and image id. False for artifacts. */
  readonly #isPullable = new LruCache<string, boolean>({ max: MAX_REMEMBERED, ttlMs: RECENT_MILLISECONDS });

  /** @param options.projectsLazily as in `RegistryOptions` */
  constructor(
    storage: StorageDriver,
    dependencies: {
      tags: Tags;
      images: Images;
      projections: ImageProjections;
      grants: ImageGrants;
      indexImages: IndexImages;
      facts: KnownKinds;
    },
    { projectsLazily }: { projectsLazily: boolean },
  ) {
    this.#projectsLazily = projectsLazily;
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#images = dependencies.images;
    this.#projections = dependencies.projections;
    this.#grants = dependencies.grants;
    this.#indexImages = dependencies.indexImages;
    this.#facts = dependencies.facts;
  }

  /**
   * The bytes of `_index_images`. Where there is none yet, as in a repository that only v2 clients have pushed to, and where pushes
   * do not update it, it is made from the tags: resolve them, find or make their projections, grant those to the repository,
   * write the list, read it.
   * One storage request; to make it two more, and those of `list`.
   * @returns `undefined` if v1 clients can pull none of the tags
   */
  async findIndexImages(repository: RepositoryName): Promise<Bytes | undefined> {
    const stored = await this.#indexImages.find(repository);
    if (stored && !this.#projectsLazily) return stored;
    const tags = await this.list(repository);
    if (tags.length === 0) return stored;
    const added = new Set(tags.map(({ id }) => id));
    await this.#indexImages.update(repository, async () => ({ added, removed: new Set() }));
    return await this.#indexImages.find(repository);
  }

  /**
   * All tags that v1 clients can pull. One storage request per 1,000 tags and per 1,000 manifests, and one for
   * `_index_images`; where tags name images that are not in that list, one per 1,000 manifests with facts, which tell artifacts.
   * Of the others, those not in the list cost those of `resolve`, unless they were resolved within five minutes.
   */
  async list(repository: RepositoryName): Promise<V1Tag[]> {
    const [indexed, manifests] = await Promise.all([
      indexedIds(this.#storage, repository),
      listManifests(this.#storage, repository),
    ]);
    const tags = (await this.#tags.resolveAll(repository, { indexed, manifests })).filter(mayNameImage);
    const held = new Set(manifests.map(hexOf));
    // A top projection is listed in `_index_images` only once it is complete and granted.
    const projected = new Set<string>(indexed.filter((id) => held.has(id)));
    const isKnown = (tag: ImageTag) =>
      projected.has(tag.target.imageId) || this.#isPullable.get(nameOf(repository, tag));
    await this.#learnArtifacts(
      repository,
      tags.filter((tag) => isKnown(tag) === undefined && held.has(hexOf(tag.target.digest))),
    );
    const unknown = tags.filter((tag) => isKnown(tag) === undefined);
    const pullable = new Set((await this.resolve(repository, unknown)).map(({ tag }) => tag));
    for (const tag of unknown) {
      if (pullable.has(tag.tag)) this.#isPullable.set(nameOf(repository, tag), true);
      else if (held.has(hexOf(tag.target.digest))) this.#isPullable.set(nameOf(repository, tag), false);
    }
    return tags.filter((tag) => pullable.has(tag.tag) || isKnown(tag)).map(asV1Tag);
  }

  /** Notes which of the tags name artifacts. One storage request per 1,000 manifests with facts; none for few tags. */
  async #learnArtifacts(repository: RepositoryName, tags: readonly ImageTag[]): Promise<void> {
    if (tags.length <= FEW) return;
    const kinds = await this.#facts.kinds(repository);
    for (const tag of tags) {
      const kind = kinds.get(tag.target.digest) ?? 'image';
      if (kind !== 'image' && kind !== 'index') this.#isPullable.set(nameOf(repository, tag), false);
    }
  }

  /**
   * Those of the tags that v1 clients can pull; artifacts are left out. Their images are then stored and granted to the
   * repository, since clients ask for tags before images. For each different target the storage requests of `#preparePull`.
   */
  async resolve(repository: RepositoryName, tags: readonly ResolvedTag[]): Promise<V1Tag[]> {
    const imageTags = tags.filter(mayNameImage);
    const groups = Map.groupBy(imageTags, ({ target }) => target.imageId);
    const pullable = await mapConcurrently([...groups.values()], async (group) => {
      const target = group[0]?.target;
      const names = group.map(({ tag }) => tag);
      return target && (await this.#preparePull(repository, target, names)) ? [target.imageId] : [];
    });
    const ids = new Set(pullable.flat());
    return imageTags.filter(({ target }) => ids.has(target.imageId)).map(asV1Tag);
  }

  /**
   * Finds or makes the image that tags name, and grants it to the repository. Three storage requests for a projection that is
   * complete and granted, three for a pushed image that is granted; those of `ImageProjections.project`
   * where the projection is still to be made or granted.
   * @param tags the names of tags with this target
   * @returns false if v1 clients cannot pull it
   */
  async #preparePull(repository: RepositoryName, target: ImageTarget, tags: readonly Tag[]): Promise<boolean> {
    const { digest, imageId } = target;
    const [{ isProjection, hasRecord, grants }, manifest] = await Promise.all([
      this.#grants.listOfProjection(repository, imageId),
      hasManifest(this.#storage, repository, digest),
    ]);
    if (!isProjection && !manifest) {
      await this.#grantPushedImage(repository, imageId, tags);
      return true;
    }
    // A tag of an image that was pushed under this id before the projection replaced it has no grant to the projection.
    if (!manifest) return grants.some(({ by }) => 'tag' in by && by.top === imageId && tags.includes(by.tag));
    // The projection may be complete without being granted: the process that made it may have stopped in between.
    const isGranted = await this.#isGrantedBy(repository, digest, grants);
    if (isGranted && (await this.#isComplete(imageId, hasRecord))) return true;
    return (await this.#projections.project(repository, target)) !== undefined;
  }

  async #isComplete(id: ImageId, hasRecord: boolean): Promise<boolean> {
    if (!hasRecord) return await this.#images.isWhole(id);
    return (await findProjectionRecord(this.#storage, id))?.isComplete === true;
  }

  /**
   * Makes a projection again of which an object is missing, with the images below it.
   * @returns false if it cannot be made: v1 has no form for the manifest, or storage is read-only
   * @throws RegistryError UNAVAILABLE if the collector is removing one of the images
   */
  async projectAgain({ repository, digest }: { repository: RepositoryName; digest: Digest }): Promise<boolean> {
    if (digest.startsWith('sha512:')) return false;
    try {
      const target = { digest, imageId: hexOf(digest) as ImageId };
      return (await this.#projections.project(repository, target, { looksAnew: true })) !== undefined;
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'UNSUPPORTED') return false;
      throw error;
    }
  }

  /** Whether one of the grants is by this manifest, which is there, and of an index also by a child that is there still. */
  async #isGrantedBy(repository: RepositoryName, digest: Digest, grants: readonly Grant[]): Promise<boolean> {
    const manifests = grants.map(({ by }) => by).find((by) => Array.isArray(by) && by[0] === digest);
    if (!Array.isArray(manifests)) return false;
    const [, child] = manifests;
    return child === undefined || (await hasManifest(this.#storage, repository, child));
  }

  /** Grants an image whose tag docker-registry or an older Stowage wrote. One storage request if it is granted already. */
  async #grantPushedImage(repository: RepositoryName, id: ImageId, [tag]: readonly Tag[]): Promise<void> {
    if (tag === undefined) return;
    const tagged: TaggedImage = { tag, top: id };
    if (await this.#grants.hasGrantByTag(repository, tagged)) return;
    const ancestry = (await this.#images.findAncestry(id)) ?? [];
    try {
      await this.#grants.removeOutdated(repository, ancestry);
      await this.#grants.grantByTag(
        repository,
        tagged,
        ancestry.map((ancestor) => ({ id: ancestor, imageKind: 'pushed' })),
      );
    } catch (error) {
      // Read-only storage: the image stays without a grant.
      if (!(error instanceof RegistryError && error.code === 'UNSUPPORTED')) throw error;
    }
  }
}

function mayNameImage(tag: ResolvedTag): tag is ImageTag {
  return tag.target.imageId !== undefined;
}

function asV1Tag({ tag, target }: ImageTag): V1Tag {
  return { tag, id: target.imageId };
}

function nameOf(repository: RepositoryName, { tag, target }: ImageTag): string {
  return `${repository} ${tag} ${target.imageId}`;
}
