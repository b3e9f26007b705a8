import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { type Key, layout } from '../../model/layout.ts';
import { parseManifest } from '../../model/manifest.ts';
import { type Digest, type ImageId, type RepositoryName, sha256Digest, type Tag } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { listUnlessGone } from '../condemned/gone.ts';
import { readManifest } from '../condemned/read-manifest.ts';
import type { Manifests } from '../manifests/manifests.ts';
import type { TagDeletion } from '../tags/delete-tag.ts';
import { type TagMetadata, tagMetadata } from '../tags/metadata.ts';
import { immutableTag, type Tags } from '../tags/tags.ts';
import type { DescribedProjections } from '../v1-images/described-projections.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import { lookAtImage } from '../v1-images/image-cell.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import type { ImageReader, ImageRight, ImageRights } from '../v1-images/image-rights.ts';
import { type Images, imageUnknown } from '../v1-images/images.ts';
import type { ImmutableImageTags } from '../v1-images/immutable-image-tags.ts';
import { isTopProjection } from '../v1-images/projection-record.ts';
import { repositoryExists } from './repository-exists.ts';
import type { Search } from './search.ts';

/** What v1 clients do to a repository and to its tags. */
export class V1Repositories {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #tagDeletion: TagDeletion;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #metadata: TagMetadata;
  readonly #grants: ImageGrants;
  readonly #rights: ImageRights;
  readonly #described: DescribedProjections;
  readonly #manifests: Manifests;
  readonly #immutableImageTags: ImmutableImageTags;
  readonly #search: Search;

  constructor(
    storage: StorageDriver,
    dependencies: {
      tags: Tags;
      tagDeletion: TagDeletion;
      images: Images;
      looks: ImageLooks;
      metadata: TagMetadata;
      grants: ImageGrants;
      rights: ImageRights;
      described: DescribedProjections;
      manifests: Manifests;
      immutableImageTags: ImmutableImageTags;
      search: Search;
    },
  ) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#tagDeletion = dependencies.tagDeletion;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#metadata = dependencies.metadata;
    this.#grants = dependencies.grants;
    this.#rights = dependencies.rights;
    this.#described = dependencies.described;
    this.#manifests = dependencies.manifests;
    this.#immutableImageTags = dependencies.immutableImageTags;
    this.#search = dependencies.search;
  }

  /**
   * Whether the repository has a tag, a manifest, or index images; links to blobs do not count. Two storage requests, side by side.
   */
  async exists(repository: RepositoryName): Promise<boolean> {
    return await repositoryExists(this.#storage, repository);
  }

  /** @throws RegistryError REPOSITORY_UNKNOWN */
  async checkExists(repository: RepositoryName): Promise<void> {
    if (!(await this.exists(repository))) throw unknownRepository();
  }

  /**
   * Makes a tag name a v1 image, and grants the repository the images of its ancestry; the caller must have a right to each. The
   * image may be incomplete. Images of the ancestry that the collector has condemned are live afterwards. For a top projection,
   * the tag names the manifest, which keeps its digest. Three storage requests, four for `latest`; for each image of the ancestry
   * two, those of `ImageRights.findRight`, and one if the caller pushed it; for a projection those of `DescribedProjections.record`.
   * @throws RegistryError IMAGE_UNKNOWN, DENIED; UNAVAILABLE if the collector is removing an image of the ancestry
   */
  async tagImage(
    repository: RepositoryName,
    tag: Tag,
    id: ImageId,
    { userAgent, reader, by }: { userAgent: string; reader: ImageReader; by: string },
  ): Promise<void> {
    const look = this.#looks.start();
    /** The caller's right to an image, which is live and exists. */
    const findRight = async (image: ImageId): Promise<ImageRight> => {
      const found = await this.#rights.findRight(image, reader);
      // A deleted image does not return as the base of another one.
      if (!found) throw imageUnknown();
      await lookAtImage(this.#storage, image, { look, ...found.cell });
      if (!(await this.#images.exists(image))) throw imageUnknown();
      return found;
    };
    const right = await findRight(id);
    const ancestry = (await this.#images.findAncestry(id)) ?? [id];
    if (right.imageKind === 'projection' && (await isTopProjection(this.#storage, id))) {
      await this.#tagManifest(repository, tag, id, { reader, by });
    } else {
      const images = await mapConcurrently(ancestry, async (image) => {
        const found = image === id ? right : await findRight(image);
        if (found.imageKind === 'projection') await this.#checkImmutable(repository, image);
        if (found.source && !(await this.#described.record(image, found.source))) throw imageUnknown();
        return { id: image, ...found };
      });
      await this.#grants.grantByTag(repository, { tag, top: id }, images);
      await this.#tags.setImage(repository, tag, id, { look, by });
      // The grants of the tag replace the rights of the client that pushed the images.
      await mapConcurrently(images, (image) =>
        mapConcurrently(image.pusherIds, (pusherId) => this.#grants.removePusherRecord(image.id, pusherId)),
      );
    }
    this.#search.add(repository);
    await this.#metadata.put(repository, tag, tagMetadata(userAgent, new Date()));
  }

  /** Tags the manifest in this repository, or a copy of it from a repository that the caller may pull from. */
  async #tagManifest(
    repository: RepositoryName,
    tag: Tag,
    id: ImageId,
    { reader, by }: { reader: ImageReader; by: string },
  ): Promise<void> {
    const digest = sha256Digest(id);
    if (await this.#manifests.retag(repository, tag, digest, by)) return;
    const holder = await this.#rights.findRepositoryWithManifest(id, reader);
    if (holder === undefined) throw imageUnknown();
    await this.#manifests.copy(holder, repository, digest, { tag, by });
  }

  /**
   * An immutable tag may name a v1 image that was pushed under the id of this projection. A grant would make it name the projection.
   * @throws RegistryError DENIED
   */
  async #checkImmutable(repository: RepositoryName, image: ImageId): Promise<void> {
    const immutable = await this.#immutableImageTags.findImmutableTagFor(repository, sha256Digest(image));
    if (immutable) throw immutableTag(repository, immutable);
  }

  /** @throws RegistryError TAG_UNKNOWN */
  async deleteTag(repository: RepositoryName, tag: Tag, by: string): Promise<void> {
    const isDeleted = await this.#tagDeletion.delete(repository, tag, by, 'at once');
    if (!isDeleted) throw new RegistryError('TAG_UNKNOWN', `Tag not found: ${tag}`);
  }

  /** Whether the repository has the property `private` of v1, which decides no access here. One storage request. */
  async isPrivate(repository: RepositoryName): Promise<boolean> {
    return (await this.#storage.head(layout.repositoryPrivate(repository))) !== undefined;
  }

  async setPrivate(repository: RepositoryName, isPrivate: boolean): Promise<void> {
    const key = layout.repositoryPrivate(repository);
    if (isPrivate) await this.#storage.put(key, new Uint8Array());
    else await this.#storage.delete(key);
  }

  /** Stores the images that the index lists for this repository, as docker-registry did. One storage request. */
  async keepImagesList(repository: RepositoryName, images: ImageId[]): Promise<void> {
    await this.#storage.put(layout.repositoryImagesList(repository), encodeText(pythonJson(images)), AS_JSON);
  }

  /**
   * Deletes all objects of the repository, for v1 and v2, but the history of its tags. Images and blobs stay: other repositories
   * may use them.
   * @param by the caller's name
   * @throws RegistryError REPOSITORY_UNKNOWN
   */
  async delete(repository: RepositoryName, by: string): Promise<void> {
    const [tagsAndMetadata, ofOci] = await Promise.all(
      [layout.repository(repository), layout.ociRepository(repository)].map((folder) =>
        Array.fromAsync(listUnlessGone(this.#storage, folder)),
      ),
    );
    const others = (ofOci ?? []).filter(({ key }) => !key.startsWith(layout.repositoryHistory(repository)));
    const objects = [...(tagsAndMetadata ?? []), ...others];
    if (objects.length === 0) throw unknownRepository();
    // The tags before their manifests. One that has moved since it was listed belongs to a later push, and stays.
    const listed = objects.filter(({ key }) => layout.isTag(key));
    const tags = await this.#tags.resolveObjects(repository, listed);
    await mapConcurrently(tags, (tag) => this.#tags.deleteIfUnchanged(repository, tag, by));
    const tagKeys = new Set(tags.map(({ tag }) => layout.tag(repository, tag)));
    await mapConcurrently(
      objects.filter(({ key }) => !tagKeys.has(key)),
      ({ key, etag }) => this.#storage.delete(key, layout.isTag(key) ? { ifMatch: etag } : {}),
    );
    await this.#deleteIncompleteTags(repository, new Set(objects.map(({ key }) => key)), by);
    this.#search.recheck(repository);
  }

  /** Deletes tags of concurrent pushes whose manifest, blobs or children were deleted: they count as pushed before. */
  async #deleteIncompleteTags(repository: RepositoryName, deleted: ReadonlySet<Key>, by: string): Promise<void> {
    const listsDeleted = async (digest: Digest): Promise<boolean> => {
      const key = layout.manifest(repository, digest);
      if (deleted.has(key)) return true;
      const stored = await readManifest(this.#storage, repository, digest);
      if (!stored) return false; // a v1 image: no repository owns it
      const { blobs, manifests } = parseManifest(stored.bytes);
      if (blobs.some((blob) => deleted.has(layout.blobLink(repository, blob.digest)))) return true;
      const children = await mapConcurrently(manifests, (child) => isIncomplete(child.digest));
      return children.includes(true);
    };
    // Each manifest is read once, however often indexes list it.
    const results = new Map<Digest, Promise<boolean>>();
    const isIncomplete = (digest: Digest): Promise<boolean> => {
      const result = results.get(digest) ?? listsDeleted(digest);
      results.set(digest, result);
      return result;
    };
    const left = await this.#tags.resolveAll(repository);
    await mapConcurrently(await this.#tags.confirm(repository, left), async (tag) => {
      if (await isIncomplete(tag.target.digest)) await this.#tagDeletion.deleteWithMetadata(repository, tag, by);
    });
  }
}

function unknownRepository(): RegistryError {
  return new RegistryError('REPOSITORY_UNKNOWN', 'Repository not found');
}
