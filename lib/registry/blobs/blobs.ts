import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ByteRange, type StorageDriver } from '../../storage/driver.ts';
import { type BlobLink, decodeBlobLink, encodeBlobLink } from './link.ts';
import { findStored } from './store.ts';

/** How long a client may take to begin a download after it was sent to storage. docker-registry gave as long. */
export const PRESIGNED_SECONDS = 20 * 60;

/** The blobs of repositories. A repository's own link decides who may read what, never the bytes. */
export class Blobs {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** One storage request. `undefined` if this repository does not hold the blob, whoever else may. */
  async find(repository: RepositoryName, digest: Digest): Promise<BlobLink | undefined> {
    const object = await this.#storage.read(layout.blobLink(repository, digest));
    return object && decodeBlobLink(object.bytes, object.info.key);
  }

  /**
   * As `find`, where absence is the client's mistake.
   * @throws RegistryError BLOB_UNKNOWN
   */
  async stat(repository: RepositoryName, digest: Digest): Promise<BlobLink> {
    const link = await this.find(repository, digest);
    if (!link) {
      throw new RegistryError('BLOB_UNKNOWN', `blob ${digest} is unknown to ${repository}`, { detail: { digest } });
    }
    return link;
  }

  /** The bytes behind a link, or a range of them. One storage request. */
  async read(link: BlobLink, range?: ByteRange): Promise<ReadableStream<Uint8Array>> {
    const object = await this.#storage.get(link.key, range ? { range } : {});
    if (!object) throw new Error(`a link points to ${link.key}, which is gone`); // ours to repair: a 500
    return object.body;
  }

  /** A URL under which storage itself answers this method with the bytes, or their length; `undefined` where it cannot. No storage request. */
  async presign(method: 'GET' | 'HEAD', link: BlobLink): Promise<URL | undefined> {
    return await this.#storage.presign?.(method, link.key, {
      expiresSeconds: PRESIGNED_SECONDS,
      contentType: 'application/octet-stream',
    });
  }

  /** Gives a repository the right to a blob whose bytes were stored, and their digest checked, just before. */
  async link(repository: RepositoryName, digest: Digest, link: BlobLink): Promise<void> {
    await this.#put(repository, digest, link);
  }

  async #put(repository: RepositoryName, digest: Digest, link: BlobLink, nonce?: string): Promise<void> {
    await this.#storage.put(layout.blobLink(repository, digest), encodeBlobLink(link, nonce), AS_JSON);
  }

  /**
   * As `link`, for bytes that were there already. The collector, which marks what nobody links to before it deletes it,
   * may not see this link in time: so it is written first, and then looked whether the bytes are marked. If they are, the
   * repository gets a copy of its own. Two storage requests.
   * @returns false if the bytes are gone already
   */
  async linkExisting(repository: RepositoryName, digest: Digest, link: BlobLink): Promise<boolean> {
    await this.link(repository, digest, link);
    if (!(await this.#storage.head(layout.condemnedBlob(digest)))) return true;
    const uuid = randomUUID();
    if (await this.#storage.copyIfAbsent(link.key, layout.data(uuid))) {
      await this.#storage.put(layout.digestMarker(digest, uuid), new Uint8Array());
      await this.link(repository, digest, { sizeBytes: link.sizeBytes, key: layout.data(uuid) });
      return true;
    }
    await this.#storage.delete(layout.blobLink(repository, digest));
    return false;
  }

  /**
   * Writes links again that the collector has marked because no manifest named them: one does now. One storage request,
   * and two for each link that is marked.
   */
  async reviveCondemnedLinks(repository: RepositoryName, digests: readonly Digest[]): Promise<void> {
    const object = await this.#storage.read(layout.condemnedInRepository(repository));
    if (!object) return;
    const condemned = parseJson(object.bytes);
    if (!Array.isArray(condemned)) throw new Error(`${object.info.key} is not a list`);
    const marked = digests.filter((digest) => condemned.includes(digest));
    await mapConcurrently(marked, async (digest) => {
      const link = await this.find(repository, digest);
      // Other bytes than before, and so another ETag: the collector deletes only what it has looked at.
      if (link) await this.#put(repository, digest, link, randomUUID());
    });
  }

  /**
   * Links a blob of one repository into another. Three storage requests; no bytes move.
   * @returns false if `from` does not hold it
   * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository
   */
  async mount(digest: Digest, from: RepositoryName, to: RepositoryName): Promise<boolean> {
    const link = await this.find(from, digest);
    return link !== undefined && (await this.linkExisting(to, digest, link));
  }

  /**
   * Links a blob that any repository holds, for registries where everybody may read everything: whoever knows the digest
   * gets the bytes. Four storage requests, one more if the digest was not known before the bytes came.
   * @returns false if no repository holds it
   */
  async mountFromAnywhere(digest: Digest, to: RepositoryName): Promise<boolean> {
    const stored = await findStored(this.#storage, digest);
    return stored !== undefined && (await this.linkExisting(to, digest, stored));
  }

  /**
   * Takes the blob from this repository. The bytes stay: another repository may hold them too.
   * @throws RegistryError BLOB_UNKNOWN
   */
  async unlink(repository: RepositoryName, digest: Digest): Promise<void> {
    await this.stat(repository, digest);
    await this.#storage.delete(layout.blobLink(repository, digest));
  }
}
