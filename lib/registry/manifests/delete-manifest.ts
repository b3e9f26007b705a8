import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { TagDeletion } from '../tags/delete-tag.ts';
import { removeLeftovers } from '../tags/leftovers.ts';
import { listManifests } from '../tags/resolve-tags.ts';
import type { OnTagChange } from '../tags/tag-change.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import { type ImageConversions, mayBeConversion } from '../v1-to-v2/convert-image.ts';
import { manifestUnknown } from './manifest-errors.ts';
import type { Manifest, StoredManifests } from './stored-manifests.ts';

/**
 * Deletes manifests.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#deleting-manifests
 */
export class ManifestDeletion {
  readonly #storage: StorageDriver;
  readonly #stored: StoredManifests;
  readonly #tags: Tags;
  readonly #tagDeletion: TagDeletion;
  readonly #conversions: ImageConversions;
  readonly #onTagChange: OnTagChange;

  constructor(
    storage: StorageDriver,
    dependencies: {
      stored: StoredManifests;
      tags: Tags;
      tagDeletion: TagDeletion;
      conversions: ImageConversions;
      onTagChange: OnTagChange;
    },
  ) {
    this.#storage = storage;
    this.#stored = dependencies.stored;
    this.#tags = dependencies.tags;
    this.#tagDeletion = dependencies.tagDeletion;
    this.#conversions = dependencies.conversions;
    this.#onTagChange = dependencies.onTagChange;
  }

  /**
   * Deletes a tag and leaves its manifest. Two storage requests.
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async deleteTag(repository: RepositoryName, tag: Tag, by: string): Promise<void> {
    const isDeleted = await this.#tagDeletion.delete(repository, tag, by, 'later');
    if (!isDeleted) throw manifestUnknown(repository, { tag });
  }

  /** As `TagDeletion.deleteResolved`. */
  async deleteResolvedTag(repository: RepositoryName, resolved: ResolvedTag, by: string): Promise<boolean> {
    return await this.#tagDeletion.deleteResolved(repository, resolved, by);
  }

  /**
   * Deletes a manifest and every tag that names it. Its blobs stay. For T tags of the repository, M of which name it, at most
   * 2⌈T/1,000⌉ + 4M + 6 storage requests.
   * @param by the caller's name
   * @returns the tags that named it
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async deleteManifest(repository: RepositoryName, digest: Digest, by: string): Promise<Tag[]> {
    const look = this.#stored.startLook();
    const [manifest, tags] = await Promise.all([
      this.#stored.find(repository, digest),
      this.#tags.resolveAll(repository, { expected: [digest] }),
    ]);
    if (!manifest) throw manifestUnknown(repository, { digest });
    // Tags first: after a crash in between no tag names a manifest that is not there.
    const naming = await this.#tagsNaming(repository, manifest, tags);
    const deletions = await mapConcurrently(naming, ({ tag, target }) =>
      this.#tags.delete(repository, tag, by, (now) => now.digest === target.digest),
    );
    await this.#stored.delete(repository, manifest);

    const deleted = new Set(naming.flatMap(({ tag }, index) => (deletions[index] ? [tag] : [])));
    const others = tags.filter(({ tag }) => !deleted.has(tag));
    // Where no tag is left, one listing finds later tags and what is to be deleted with the last tag.
    const listed =
      others.length === 0 ? await Array.fromAsync(this.#storage.list(layout.repository(repository))) : undefined;
    const changed = await this.#tags.resolveChanged(repository, others, listed);
    // A concurrent push may have tagged the manifest after the tags were listed: then the manifest stays. While it was there, no
    // collector removed a link that it names; so the look began before it was read.
    if (changed.some(({ target }) => target.digest === digest)) await this.#stored.put(repository, manifest, { look });
    const isEmptied =
      listed &&
      changed.length === 0 &&
      (await removeLeftovers(this.#storage, repository, { deletedTags: [...deleted], listed }));

    const pushedAgain = new Set(changed.map(({ tag }) => tag));
    const absent = [...deleted].filter((tag) => !pushedAgain.has(tag));
    this.#onTagChange(repository, isEmptied ? { emptied: true } : { deletedManifest: digest, tags: absent });
    return [...deleted];
  }

  /** The tags that name the manifest, or a v1 image of which it is the conversion. */
  async #tagsNaming(
    repository: RepositoryName,
    { digest, bytes }: Manifest,
    tags: readonly ResolvedTag[],
  ): Promise<ResolvedTag[]> {
    const direct = tags.filter(({ target }) => target.digest === digest);
    if (!mayBeConversion(bytes) || direct.length === tags.length) return direct;
    // Where the digits of a tag are those of a manifest in this repository, the tag names the manifest and no image.
    const held = new Set(await listManifests(this.#storage, repository));
    const images = tags.flatMap(({ target }) => (target.imageId && !held.has(target.digest) ? [target.imageId] : []));
    if (images.length === 0) return direct;
    const sources = await this.#conversions.findSources(digest, new Set(images));
    const isSource = ({ target }: ResolvedTag) => target.imageId !== undefined && sources.has(target.imageId);
    return [...direct, ...tags.filter((tag) => tag.target.digest !== digest && isSource(tag))];
  }
}
