// Grants and pusher records: objects beside a v1 image that say which repository or client may read it. This module
// writes them; `image-rights.ts` decides by them. A grant is written before the tag or manifest that gives it, and is valid
// only while that is there, so correctness never depends on deleting a grant. The grant to the top image is written last: where
// it is, those to the images below it are too. A grant holds a nonce, so the collector deletes none that was written again.
import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import {
  type Grant,
  type ImageKind,
  type Key,
  layout,
  type ManifestPath,
  type ProjectedContent,
  parseImageRecord,
  type TaggedImage,
} from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { ImageId, RepositoryName } from '../../model/names.ts';
import { AS_TEXT, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { Look } from '../condemned/look.ts';
import { saysProjection } from './projection-record.ts';

/** Tag grants that this process has seen or written. */
const REMEMBERED_TAGS = { max: 10_000, ttlMs: 10 * 60_000 };

/** The keys of one listing request. */
const PAGE = 1000;

export class ImageGrants {
  readonly #storage: StorageDriver;
  readonly #knownTagGrants = new LruCache<Key, true>(REMEMBERED_TAGS);

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * Whether the image is a projection, whether it has a projection record, and the grants of the repository to it, stale ones
   * included. One storage request; up to two more for an image with 1,000 grants.
   */
  async listOfProjection(
    repository: RepositoryName,
    id: ImageId,
  ): Promise<{ isProjection: boolean; hasRecord: boolean; grants: Grant[] }> {
    const found = { isProjection: false, hasRecord: false, grants: [] as Grant[] };
    let listed = 0;
    for await (const { key } of this.#storage.list(layout.imageProjections(id))) {
      const record = parseImageRecord(key);
      found.isProjection ||= saysProjection(key);
      found.hasRecord ||= record?.kind === 'projection';
      if (record?.kind === 'grant' && record.grant.repository === repository) found.grants.push(record.grant);
      if (++listed === PAGE) return { ...found, grants: await this.list(repository, id, 'projection') };
    }
    return found;
  }

  /** The first 1,000 grants of the repository to the image, stale ones included. One storage request. */
  async list(repository: RepositoryName, id: ImageId, imageKind: ImageKind): Promise<Grant[]> {
    const grants: Grant[] = [];
    let listed = 0;
    for await (const { key } of this.#storage.list(layout.repositoryGrants(id, imageKind, repository))) {
      const record = parseImageRecord(key);
      if (record?.kind === 'grant') grants.push(record.grant);
      if (++listed === PAGE) break;
    }
    return grants;
  }

  /**
   * Grants a projection to a repository that holds these manifests. One storage request.
   * @param options.content describes the projection; absent for one with a projection record
   */
  async grantByManifest(
    repository: RepositoryName,
    by: ManifestPath,
    id: ImageId,
    { content, look }: { content?: ProjectedContent | undefined; look?: Look },
  ): Promise<void> {
    const key = content
      ? layout.describingGrant(id, repository, by, content)
      : layout.manifestGrant(id, repository, by);
    await this.#put(key, layout.outdatedGrant(id, 'projection', repository), look);
  }

  /**
   * Grants the images of an ancestry to a repository whose tag is about to name the first. One storage request for each, side by
   * side but for the first.
   */
  async grantByTag(
    repository: RepositoryName,
    by: TaggedImage,
    images: readonly { id: ImageId; imageKind: ImageKind }[],
  ): Promise<void> {
    const grant = ({ id, imageKind }: { id: ImageId; imageKind: ImageKind }) =>
      this.#put(layout.tagGrant(id, imageKind, repository, by), layout.outdatedGrant(id, imageKind, repository));
    const [top, below] = [images.filter(({ id }) => id === by.top), images.filter(({ id }) => id !== by.top)];
    await mapConcurrently(below, grant);
    await mapConcurrently(top, grant);
    this.#knownTagGrants.set(layout.tagGrant(by.top, 'pushed', repository, by), true);
  }

  /** Whether the tag has granted its image, pushed by a v1 client. One storage request, none if that is known already. */
  async hasGrantByTag(repository: RepositoryName, by: TaggedImage): Promise<boolean> {
    const key = layout.tagGrant(by.top, 'pushed', repository, by);
    if (this.#knownTagGrants.has(key)) return true;
    if (!(await this.#storage.head(key))) return false;
    this.#knownTagGrants.set(key, true);
    return true;
  }

  /**
   * Removes what version 0.1.0 wrote as grants to pushed images: MinIO lists nothing below a key that is an object itself. One
   * storage request for each, side by side.
   */
  async removeOutdated(repository: RepositoryName, images: readonly ImageId[]): Promise<void> {
    await mapConcurrently(images, (id) => this.#storage.delete(layout.outdatedGrant(id, 'pushed', repository)));
  }

  async #put(key: Key, outdated: Key, look?: Look): Promise<void> {
    const nonce = encodeText(randomUUID());
    const options = { ...AS_TEXT, ...(look && { look }) };
    try {
      await this.#storage.put(key, nonce, options);
    } catch (error) {
      // On disk a key cannot be both an object and a folder.
      if (!(await this.#storage.head(outdated))) throw error;
      await this.#storage.delete(outdated);
      await this.#storage.put(key, nonce, options);
    }
  }

  /** Records that this client has pushed the image. One storage request. */
  async addPusherRecord(id: ImageId, pusherId: string, look: Look): Promise<void> {
    await this.#storage.put(layout.pusherRecord(id, pusherId), new Uint8Array(), { look });
  }

  /** One storage request. */
  async removePusherRecord(id: ImageId, pusherId: string): Promise<void> {
    await this.#storage.delete(layout.pusherRecord(id, pusherId));
  }
}
