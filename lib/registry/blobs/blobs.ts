import { randomUUID } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ByteRange, type StorageDriver } from '../../storage/driver.ts';
import { type BlobLink, decodeBlobLink, encodeBlobLink } from './link.ts';
import { findStored } from './store.ts';

/**
 * For this long after the redirect a client may begin its download from storage: of a v2 blob, and of a v1 layer. docker-registry
 * signed its URLs for as long.
 */
export const PRESIGNED_SECONDS = 20 * 60;

/** The blobs of repositories. Access is decided by a repository's link to a blob, not by its bytes. */
export class Blobs {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** One storage request. `undefined` if this repository does not hold the blob, also if another one does. */
  async find(repository: RepositoryName, digest: Digest): Promise<BlobLink | undefined> {
    const object = await this.#storage.read(layout.blobLink(repository, digest));
    return object && decodeBlobLink(object.bytes, object.info.key);
  }

  /**
   * As `find`, for a blob that the client names.
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
    if (!object) throw new Error(`a link points to ${link.key}, which is gone`); // damaged storage: a 500
    return object.body;
  }

  /** A URL by which storage answers GET with the bytes or HEAD with their length; `undefined` if it has no URLs. No storage request. */
  async presign(method: 'GET' | 'HEAD', link: BlobLink): Promise<URL | undefined> {
    return await this.#storage.presign?.(method, link.key, {
      expiresSeconds: PRESIGNED_SECONDS,
      contentType: 'application/octet-stream',
    });
  }

  /** Links a blob into a repository. Its bytes were stored, and their digest checked, by this request. One storage request. */
  async link(repository: RepositoryName, digest: Digest, link: BlobLink): Promise<void> {
    await this.#put(repository, digest, link);
  }

  async #put(repository: RepositoryName, digest: Digest, link: BlobLink, nonce?: string): Promise<void> {
    await this.#storage.put(layout.blobLink(repository, digest), encodeBlobLink(link, nonce), AS_JSON);
  }

  /**
   * As `link`, for bytes that were stored earlier. A collector, a program of a later version, condemns bytes without links
   * before it deletes them, and may miss this link. So this writes the link first and then reads whether the bytes are
   * condemned: if they are, the repository gets a copy of them. Two storage requests.
   * @returns false if the bytes are deleted already
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
   * Writes links again that a collector has condemned because no manifest named them, for a manifest that does. One storage
   * request, and two for each condemned link.
   */
  async reviveCondemnedLinks(repository: RepositoryName, digests: readonly Digest[]): Promise<void> {
    const object = await this.#storage.read(layout.condemnedInRepository(repository));
    if (!object) return;
    const condemned = parseJson(object.bytes);
    if (!Array.isArray(condemned)) throw new Error(`${object.info.key} is not a list`);
    const inDanger = digests.filter((digest) => condemned.includes(digest));
    await mapConcurrently(inDanger, async (digest) => {
      const link = await this.find(repository, digest);
      // The nonce gives the object another ETag: a collector deletes only the ETags that it has read.
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
   * Links a blob that any repository holds, for a caller that may pull from all of them. Four storage requests, five if the
   * digest was computed while the bytes arrived.
   * @returns false if no repository holds it
   */
  async mountFromAnywhere(digest: Digest, to: RepositoryName): Promise<boolean> {
    const stored = await findStored(this.#storage, digest);
    return stored !== undefined && (await this.linkExisting(to, digest, stored));
  }

  /**
   * Deletes the repository's link. The bytes stay: another repository may link to them. Two storage requests.
   * @throws RegistryError BLOB_UNKNOWN
   */
  async unlink(repository: RepositoryName, digest: Digest): Promise<void> {
    await this.stat(repository, digest);
    await this.#storage.delete(layout.blobLink(repository, digest));
  }
}
