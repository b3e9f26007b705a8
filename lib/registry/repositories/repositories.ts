import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { type Key, type KeyPrefix, layout } from '../../model/layout.ts';
import { parseManifest } from '../../model/manifest.ts';
import { type Digest, type ImageId, type RepositoryName, sha256Digest, type Tag } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { Manifests } from '../manifests/manifests.ts';
import { type TagMetadata, tagMetadata } from '../tags/metadata.ts';
import type { OnTagChange } from '../tags/tag-change.ts';
import { immutableTag, type Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { ImageReader, ImageRights } from '../v1-images/image-rights.ts';
import { type Images, imageUnknown } from '../v1-images/images.ts';
import type { ImmutableImageTags } from '../v1-images/immutable-image-tags.ts';
import { isTopProjection } from '../v1-images/projection-record.ts';
import type { Search } from './search.ts';

/** What v1 does to a repository as a whole and to its tags. */
export class Repositories {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #images: Images;
  readonly #metadata: TagMetadata;
  readonly #grants: ImageGrants;
  readonly #rights: ImageRights;
  readonly #manifests: Manifests;
  readonly #immutableImageTags: ImmutableImageTags;
  readonly #search: Search;
  readonly #onTagChange: OnTagChange;

  constructor(
    storage: StorageDriver,
    dependencies: {
      tags: Tags;
      images: Images;
      metadata: TagMetadata;
      grants: ImageGrants;
      rights: ImageRights;
      manifests: Manifests;
      immutableImageTags: ImmutableImageTags;
      search: Search;
      onTagChange: OnTagChange;
    },
  ) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#images = dependencies.images;
    this.#metadata = dependencies.metadata;
    this.#grants = dependencies.grants;
    this.#rights = dependencies.rights;
    this.#manifests = dependencies.manifests;
    this.#immutableImageTags = dependencies.immutableImageTags;
    this.#search = dependencies.search;
    this.#onTagChange = dependencies.onTagChange;
  }

  /**
   * Whether the repository has a tag, a manifest, or a list of images that a v1 client announced; links to blobs alone are
   * none. Two storage requests, side by side.
   */
  async exists(repository: RepositoryName): Promise<boolean> {
    const prefixes = [layout.repository(repository), layout.manifests(repository)];
    const found = await Promise.all(prefixes.map((prefix) => this.#holdsAnything(prefix)));
    return found.includes(true);
  }

  async #holdsAnything(prefix: KeyPrefix): Promise<boolean> {
    for await (const _ of this.#storage.list(prefix)) return true;
    return false;
  }

  /** @throws RegistryError REPOSITORY_UNKNOWN */
  async checkExists(repository: RepositoryName): Promise<void> {
    if (!(await this.exists(repository))) throw unknownRepository();
  }

  /**
   * Makes a tag name a v1 image, and grants the repository the image and those it is built on; all of them the caller has to
   * have a right to now. The image need not be complete. Where it is the top projection of a manifest, the repository gets
   * that manifest itself, so that it keeps its digest. Four storage requests, five for `latest`, and for each image of the
   * ancestry one and those of `ImageRights.findRight`, and one more where the caller has just pushed it.
   * @throws RegistryError IMAGE_UNKNOWN, DENIED
   */
  async tagImage(
    repository: RepositoryName,
    tag: Tag,
    id: ImageId,
    { userAgent, reader }: { userAgent: string; reader: ImageReader },
  ): Promise<void> {
    const [exists, ancestry] = await Promise.all([this.#images.exists(id), this.#images.findAncestry(id)]);
    const right = exists && (await this.#rights.findRight(id, reader));
    if (!right) throw imageUnknown();
    if (right.imageKind === 'projection' && (await isTopProjection(this.#storage, id))) {
      await this.#tagManifest(repository, tag, id, reader);
    } else {
      const images = await mapConcurrently(ancestry ?? [id], async (image) => {
        const found = image === id ? right : await this.#rights.findRight(image, reader);
        // What was deleted does not come back as the base of another image.
        if (!found) throw imageUnknown();
        if (found.imageKind === 'projection') await this.#checkShown(repository, image);
        return { id: image, ...found };
      });
      await this.#grants.grantByTag(repository, { tag, top: id }, images);
      await this.#tags.setImage(repository, tag, id);
      // From now on the tag gives the right: with it also that of the client that has pushed the images ends.
      await mapConcurrently(images, (image) =>
        mapConcurrently(image.pusherIds, (pusherId) => this.#grants.removePusherRecord(image.id, pusherId)),
      );
    }
    this.#search.add(repository);
    await this.#metadata.put(repository, tag, tagMetadata(userAgent, new Date()));
  }

  /** The manifest of the repository itself, else that of another one from which the caller may pull. */
  async #tagManifest(repository: RepositoryName, tag: Tag, id: ImageId, reader: ImageReader): Promise<void> {
    const digest = sha256Digest(id);
    if (await this.#manifests.retag(repository, tag, digest)) return;
    const holder = await this.#rights.findRepositoryWithManifest(id, reader);
    if (holder === undefined) throw imageUnknown();
    await this.#manifests.copy(holder, repository, digest, tag);
  }

  /** An immutable tag may name what a client had pushed under the id of the projection, and must not show that instead. */
  async #checkShown(repository: RepositoryName, image: ImageId): Promise<void> {
    const hidden = await this.#immutableImageTags.findImmutableTagFor(repository, sha256Digest(image));
    if (hidden) throw immutableTag(repository, hidden);
  }

  /** @throws RegistryError TAG_UNKNOWN */
  async deleteTag(repository: RepositoryName, tag: Tag): Promise<void> {
    const resolved = await this.#tags.find(repository, tag);
    if (!resolved) throw new RegistryError('TAG_UNKNOWN', `Tag not found: ${tag}`);
    await this.#deleteResolved(repository, resolved);
    this.#onTagChange(repository, { deleted: tag, target: resolved.target });
  }

  async #deleteResolved(repository: RepositoryName, resolved: ResolvedTag): Promise<void> {
    if (await this.#tags.deleteIfUnchanged(repository, resolved)) {
      await this.#metadata.delete(repository, resolved.tag);
    }
  }

  /** Whether the repository is marked as private; who may read it is decided elsewhere. One storage request. */
  async isPrivate(repository: RepositoryName): Promise<boolean> {
    return (await this.#storage.head(layout.repositoryPrivate(repository))) !== undefined;
  }

  async setPrivate(repository: RepositoryName, isPrivate: boolean): Promise<void> {
    const key = layout.repositoryPrivate(repository);
    if (isPrivate) await this.#storage.put(key, new Uint8Array());
    else await this.#storage.delete(key);
  }

  /** Keeps which images the index named for this repository, as docker-registry did. One storage request. */
  async keepImagesList(repository: RepositoryName, images: ImageId[]): Promise<void> {
    await this.#storage.put(layout.repositoryImagesList(repository), encodeText(pythonJson(images)), AS_JSON);
  }

  /**
   * Deletes everything that is the repository's, in both views. Images and blobs stay: others may use them.
   * @throws RegistryError REPOSITORY_UNKNOWN
   */
  async delete(repository: RepositoryName): Promise<void> {
    const folders = await Promise.all(
      foldersOf(repository).map((prefix) => Array.fromAsync(this.#storage.list(prefix))),
    );
    if (folders.flat().length === 0) throw unknownRepository();
    for (const objects of folders) await this.#deleteAll(objects);
    await this.#deleteTorn(repository, new Set(folders.flat().map(({ key }) => key)));
    this.#search.recheck(repository);
  }

  async #deleteAll(objects: ObjectInfo[]): Promise<void> {
    // A tag that has moved since it was listed is somebody's new push, and stays.
    await mapConcurrently(objects, ({ key, etag }) =>
      this.#storage.delete(key, layout.isTag(key) ? { ifMatch: etag } : {}),
    );
  }

  /** A push in between that relied on what has been deleted counts as one before, and goes as well. */
  async #deleteTorn(repository: RepositoryName, deleted: ReadonlySet<Key>): Promise<void> {
    const looksTorn = async (digest: Digest): Promise<boolean> => {
      const key = layout.manifest(repository, digest);
      if (deleted.has(key)) return true;
      const object = await this.#storage.read(key);
      if (!object) return false; // a v1 image: those are nobody's
      const { blobs, manifests } = parseManifest(object.bytes);
      if (blobs.some((blob) => deleted.has(layout.blobLink(repository, blob.digest)))) return true;
      const children = await mapConcurrently(manifests, (child) => isTorn(child.digest));
      return children.includes(true);
    };
    // Each manifest once, however many indexes name it, and however often.
    const looked = new Map<Digest, Promise<boolean>>();
    const isTorn = (digest: Digest): Promise<boolean> => {
      const torn = looked.get(digest) ?? looksTorn(digest);
      looked.set(digest, torn);
      return torn;
    };
    const left = await this.#tags.resolveAll(repository);
    await mapConcurrently(await this.#tags.confirm(repository, left), async (tag) => {
      if (await isTorn(tag.target.digest)) await this.#deleteResolved(repository, tag);
    });
  }
}

function unknownRepository(): RegistryError {
  return new RegistryError('REPOSITORY_UNKNOWN', 'Repository not found');
}

/** Tags first, then what they lead to. */
function foldersOf(repository: RepositoryName): KeyPrefix[] {
  return [layout.repository(repository), layout.ociRepository(repository)];
}
