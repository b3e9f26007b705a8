import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ByteRange, type StorageDriver, StorageUnavailableError } from '../../storage/driver.ts';
import type { Look } from '../condemned/look.ts';
import { type Reader, reviveForReader } from '../condemned/revive-for-reader.ts';
import { type BlobLink, encodeBlobLink } from './link.ts';
import { lookAtLink, readLink } from './read-link.ts';
import { ReusableBytes, type StoredBlob } from './reusable-bytes.ts';

/**
 * For this long after the redirect a client may begin its download from storage: of a v2 blob, and of a v1 layer. docker-registry
 * signed its URLs for as long.
 */
export const PRESIGNED_SECONDS = 20 * 60;

/** The blobs of repositories. Access is decided by a repository's link to a blob, not by its bytes. */
export class Blobs {
  readonly #storage: StorageDriver;
  readonly #reusable: ReusableBytes;

  constructor(storage: StorageDriver, reusable = new ReusableBytes(storage)) {
    this.#storage = storage;
    this.#reusable = reusable;
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
    const look = this.#reusable.startLook();
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
    const { sizeBytes } = object.info;
    if (sizeBytes !== link.sizeBytes) {
      await object.body.cancel();
      throw new Error(`${link.key} has ${sizeBytes} bytes, but its link says ${link.sizeBytes}`); // damaged storage too
    }
    return object.body;
  }

  /** A URL by which storage answers GET with the bytes or HEAD with their length; `undefined` if it has no URLs. No storage request. */
  async presign(method: 'GET' | 'HEAD', link: BlobLink): Promise<URL | undefined> {
    return await this.#storage.presign?.(method, link.key, {
      expiresSeconds: PRESIGNED_SECONDS,
      contentType: 'application/octet-stream',
    });
  }

  /**
   * Links a blob into a repository. One storage request. Where the look at bytes that were stored earlier is too old, it is
   * repeated once.
   * @throws StorageUnavailableError if these bytes may no longer be linked: the client sends them again
   */
  async link(repository: RepositoryName, stored: StoredBlob): Promise<void> {
    const { digest, look, ...link } = stored.look.isValid ? stored : await this.#lookAgain(stored);
    await this.#storage.put(layout.blobLink(repository, digest), encodeBlobLink(link), {
      ...AS_JSON,
      look,
    });
  }

  async #lookAgain({ digest, sizeBytes, key }: StoredBlob): Promise<StoredBlob> {
    const again = await this.#reusable.reuse(digest, { sizeBytes, key });
    if (!again) throw new StorageUnavailableError(`${key} was deleted before it was linked`);
    return again;
  }

  /**
   * Links a blob of one repository into another. Three storage requests, two of them side by side, and no bytes move; if all
   * bytes are condemned, also those of a copy on the server.
   * @returns undefined if `from` does not hold it
   * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository
   */
  async mount(digest: Digest, from: RepositoryName, to: RepositoryName): Promise<StoredBlob | undefined> {
    const [link, found] = await Promise.all([this.find(from, digest), this.#reusable.find(digest)]);
    const bytes = link && (await this.#reusable.choose(found, link));
    if (bytes) await this.link(to, bytes);
    return bytes;
  }

  /**
   * Links a blob that any repository holds, for a caller that may pull from all of them. Two storage requests; if all bytes are
   * condemned, also those of a copy on the server.
   * @returns undefined if no repository holds it
   */
  async mountFromAnywhere(digest: Digest, to: RepositoryName): Promise<StoredBlob | undefined> {
    const bytes = await this.#reusable.reuse(digest);
    if (bytes) await this.link(to, bytes);
    return bytes;
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
