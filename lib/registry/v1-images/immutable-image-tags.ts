import { layout } from '../../model/layout.ts';
import { type Digest, hexOf, type ImageId, type RepositoryName, type Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Tags } from '../tags/tags.ts';
import type { ImageGrants } from './grants.ts';
import { findProjectionRecord } from './projection-record.ts';

/**
 * What tags show whose digits are not those of a manifest that is there, but the id of a v1 image. They would show something
 * else if such a manifest came to be in their repository, or the right to a view of it: an immutable one must not.
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
   * An immutable tag that shows a v1 image, and would not any more once this repository had this manifest. No storage
   * request where no tag is immutable, else three, side by side; more if there is, or was, an image under these digits.
   */
  async findImmutableTagFor(repository: RepositoryName, digest: Digest): Promise<Tag | undefined> {
    if (!this.#tags.mayBeImmutable(repository) || digest.startsWith('sha512:')) return undefined;
    if (!(await this.#mayBeTagged(repository, hexOf(digest) as ImageId))) return undefined;
    if (await this.#storage.head(layout.manifest(repository, digest))) return undefined;
    return await this.#tags.findImmutable(repository, digest);
  }

  /** A projection that has replaced nothing was there before any tag could name it, and tags that do have granted it. */
  async #mayBeTagged(repository: RepositoryName, id: ImageId): Promise<boolean> {
    const [view, json, grants] = await Promise.all([
      findProjectionRecord(this.#storage, id),
      this.#storage.head(layout.imageJson(id)),
      this.#grants.givenTo(repository, id, 'projection'),
    ]);
    return view ? view.replaces !== false || grants.length > 0 : json !== undefined;
  }
}
