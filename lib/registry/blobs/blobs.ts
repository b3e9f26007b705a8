import { randomUUID } from 'node:crypto';
import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ByteRange, type StorageDriver } from '../../storage/driver.ts';
import { Look } from '../condemned/look.ts';
import { type Reader, reviveForReader } from '../condemned/revive-for-reader.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import { type BlobLink, encodeBlobLink } from './link.ts';
import { lookAtLink, readLink } from './read-link.ts';
import { findStored } from './store.ts';

/**
 * For this long after the redirect a client may begin its download from storage: of a v2 blob, and of a v1 layer. docker-registry
 * signed its URLs for as long.
 */
export const PRESIGNED_SECONDS = 20 * 60;

/** The blobs of repositories. Access is decided by a repository's link to a blob, not by its bytes. */
export class Blobs {
  readonly #storage: StorageDriver;
  readonly #times: CollectionTimes;

  /** @param times other than the default in tests only */
  constructor(storage: StorageDriver, times = COLLECTION_TIMES) {
    this.#storage = storage;
    this.#times = times;
  }

  /** One storage request. `undefined` if this repository does not hold the blob, also if another one does. */
  async find(repository: RepositoryName, digest: Digest): Promise<BlobLink | undefined> {
    return (await readLink(this.#storage, layout.blobLink(repository, digest)))?.link;
  }

  /**
   * As `find`, for a blob that the client names. One more storage request for a condemned link that becomes live because its
   * reader may push.
   * @throws RegistryError BLOB_UNKNOWN
   */
  async stat(repository: RepositoryName, digest: Digest, reader: Reader = {}): Promise<BlobLink> {
    const look = new Look(this.#times);
    const stored = await readLink(this.#storage, layout.blobLink(repository, digest));
    if (!stored) {
      throw new RegistryError('BLOB_UNKNOWN', `blob ${digest} is unknown to ${repository}`, { detail: { digest } });
    }
    if (stored.isCondemned && reader.mayPush?.()) {
      await reviveForReader(() => lookAtLink(this.#storage, { repository, digest }, { look, first: stored }));
    }
    return stored.link;
  }

  /**
   * What a writer calls before it relies on the repository's link to a blob: a condemned one is live afterwards. One storage
   * request, and one more if it is condemned.
   * @throws StorageUnavailableError if the look has expired
   */
  async lookAt(repository: RepositoryName, digest: Digest, look: Look): Promise<BlobLink | undefined> {
    return await lookAtLink(this.#storage, { repository, digest }, { look });
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
    await this.#storage.put(layout.blobLink(repository, digest), encodeBlobLink(link), AS_JSON);
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
