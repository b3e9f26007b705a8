import { layout } from '../../model/layout.ts';
import { type Digest, hexOf, type ImageId, type RepositoryName, type Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { hasManifest } from '../condemned/read-manifest.ts';
import type { Tags } from '../tags/tags.ts';
import type { ImageGrants } from './grants.ts';
import { findProjectionRecord } from './projection-record.ts';

/**
 * Immutable tags that point to a v1 image. A tag holds 64 digits, and a manifest with that digest takes precedence over an
 * image with that id: to store such a manifest in the repository would change what the tag resolves to.
 */
export class ImmutableImageTags {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #grants: ImageGrants;

  constructor(storage: StorageDriver, dependencies: { tags: Tags; grants: ImageGrants }) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#grants = dependencies.grants;
  }

  /**
   * An immutable tag that this manifest would retarget if it were stored in the repository. No storage request if no tag of
   * the repository is immutable; else three side by side, and if an image has this id, those of `Tags.resolveAll` and one for
   * each tag found.
   */
  async findImmutableTagFor(repository: RepositoryName, digest: Digest): Promise<Tag | undefined> {
    if (!this.#tags.isImmutable(repository) || digest.startsWith('sha512:')) return undefined;
    if (!(await this.#mayBeTagged(repository, hexOf(digest) as ImageId))) return undefined;
    if (await hasManifest(this.#storage, repository, digest)) return undefined;
    const isWanted = (tag: Tag) => this.#tags.isImmutable(repository, tag);
    const resolved = await this.#tags.resolveAll(repository, { isWanted, expected: [digest] });
    const naming = resolved.filter(({ target }) => target.digest === digest);
    const [found] = await this.#tags.confirm(repository, naming);
    return found?.tag;
  }

  /**
   * Whether a tag of the repository may name this image. A projection that replaced no pushed image existed before any tag
   * could name it, so each tag that names it has left a grant.
   */
  async #mayBeTagged(repository: RepositoryName, id: ImageId): Promise<boolean> {
    const [record, json, { isProjection, grants }] = await Promise.all([
      findProjectionRecord(this.#storage, id),
      this.#storage.head(layout.imageJson(id)),
      this.#grants.listOfProjection(repository, id),
    ]);
    if (!isProjection) return json !== undefined;
    const replacesPushedImage = record !== undefined && record.replacesPushedImage !== false;
    return replacesPushedImage || grants.length > 0;
  }
}
