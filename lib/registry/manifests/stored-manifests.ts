import { layout } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { type ManifestDocument, mediaTypeOfStored, parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { type Condition, type ObjectInfo, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { type Bytes, MiB } from '../../streams/bytes.ts';
import { mayBeCondemnedManifest } from '../condemned/condemned.ts';
import { GONE_BYTES } from '../condemned/gone.ts';
import { Look } from '../condemned/look.ts';
import { hasManifest, type ReadManifest, readManifest } from '../condemned/read-manifest.ts';
import { type Reader, reviveForReader } from '../condemned/revive-for-reader.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import { listManifests } from '../tags/resolve-tags.ts';
import type { Referrers } from './referrers.ts';

/** Memory of one process for the manifests that it read by tag most recently. */
const REMEMBERED_BYTES = 8 * MiB;

export type Manifest = { digest: Digest; mediaType: string; bytes: Bytes };

/** What is stored under the key of a manifest: `object` is also a gone form, with which the manifest counts as absent. */
export type ManifestState = { object: ObjectInfo | undefined; isPresent: boolean };

export type PutManifest = Condition & { look: Look; document?: ManifestDocument };

/** The manifests of each repository in storage, each with its entry among the referrers of its subject. */
export class StoredManifests {
  readonly #storage: StorageDriver;
  readonly #referrers: Referrers;
  readonly #times: CollectionTimes;
  readonly #remembered = new LruCache<string, Manifest>({
    maxBytes: REMEMBERED_BYTES,
    bytesOf: ({ bytes }) => bytes.length + 1,
  });

  /** @param times other than the default in tests only */
  constructor(storage: StorageDriver, referrers: Referrers, times = COLLECTION_TIMES) {
    this.#storage = storage;
    this.#referrers = referrers;
    this.#times = times;
  }

  startLook(): Look {
    return new Look(this.#times);
  }

  /** One storage request, and one more for a condemned manifest that becomes live because its reader may push. */
  async find(repository: RepositoryName, digest: Digest, reader: Reader = {}): Promise<Manifest | undefined> {
    const look = this.startLook();
    const stored = await readManifest(this.#storage, repository, digest);
    if (stored?.condemned && reader.mayPush?.()) {
      await reviveForReader(() => this.#makeLive(repository, digest, { look, first: { before: stored } }));
    }
    return stored && manifestOf(digest, stored);
  }

  /**
   * A manifest that a tag names at this moment. Those of `find`, or no storage request if it was read before: a manifest is
   * written before its tags, deleted after them, and never changed, so while the tag names it, what is remembered is what is
   * stored.
   */
  async findTagged(repository: RepositoryName, digest: Digest, reader: Reader = {}): Promise<Manifest | undefined> {
    const name = `${repository} ${digest}`;
    const remembered = this.#remembered.get(name);
    if (remembered) return remembered;
    const manifest = await this.find(repository, digest, reader);
    if (manifest) this.#remembered.set(name, manifest);
    return manifest;
  }

  /** The digests of all manifests of a repository. One storage request per 1,000. */
  async list(repository: RepositoryName): Promise<Digest[]> {
    return await listManifests(this.#storage, repository);
  }

  /** Whether the repository holds it. One storage request. */
  async has(repository: RepositoryName, digest: Digest): Promise<boolean> {
    return await hasManifest(this.#storage, repository, digest);
  }

  /** What a conditional put depends on. One storage request. */
  async stateOf(repository: RepositoryName, digest: Digest): Promise<ManifestState> {
    const object = await this.#storage.head(layout.manifest(repository, digest));
    const mayBeGone = object?.sizeBytes === GONE_BYTES;
    return { object, isPresent: mayBeGone ? await this.has(repository, digest) : object !== undefined };
  }

  /**
   * What a writer calls before it relies on a manifest: a condemned one is live afterwards. One storage request, two more if it
   * is condemned.
   * @throws StorageUnavailableError if the look has expired
   */
  async lookAt(repository: RepositoryName, digest: Digest, look: Look): Promise<Manifest | undefined> {
    const stored = await this.#makeLive(repository, digest, { look });
    return stored && manifestOf(digest, stored);
  }

  /**
   * As `lookAt`, for a manifest whose size a descriptor says. One storage request if the object has that size and no condemned
   * manifest may have it: the descriptor may say the size of the condemned form.
   * @returns the true size of the manifest
   */
  async lookAtSize(
    repository: RepositoryName,
    { digest, sizeBytes }: { digest: Digest; sizeBytes: number },
    look: Look,
  ): Promise<number | undefined> {
    const info = await this.#storage.head(layout.manifest(repository, digest));
    const isLive = sizeBytes !== GONE_BYTES && !mayBeCondemnedManifest(sizeBytes);
    if (!info || (isLive && info.sizeBytes === sizeBytes)) return info?.sizeBytes;
    return (await this.lookAt(repository, digest, look))?.bytes.length;
  }

  async #makeLive(
    repository: RepositoryName,
    digest: Digest,
    { look, first }: { look: Look; first?: { before: ReadManifest | undefined } },
  ): Promise<ReadManifest | undefined> {
    const key = layout.manifest(repository, digest);
    const { stored } = await compareAndSwap(key, {
      read: () => readManifest(this.#storage, repository, digest),
      write: async (stored) => {
        if (!stored?.condemned) return { stored };
        const contentType = mediaTypeOfStored(stored.bytes);
        const options = { contentType, look, ...unchanged(stored.info) };
        return (await this.#storage.put(key, stored.bytes, options)) && { stored };
      },
      ...(first && { first }),
    });
    return stored;
  }

  /**
   * One storage request, two for a manifest with a subject. Without a condition it overwrites every stored form.
   * @param options.look at the blobs and children of the manifest
   * @returns false if the condition did not hold; then nothing was written
   * @throws StorageUnavailableError if the look has expired
   */
  async put(
    repository: RepositoryName,
    { digest, bytes }: Manifest,
    { document = parseManifest(bytes), ...options }: PutManifest,
  ): Promise<boolean> {
    const { mediaType, subject } = document;
    const key = layout.manifest(repository, digest);
    if (!(await this.#storage.put(key, bytes, { contentType: mediaType, ...options }))) return false;
    if (subject) {
      await this.#referrers.add(repository, subject.digest, { ...document, digest, sizeBytes: bytes.length });
    }
    return true;
  }

  /**
   * Writes a manifest again that was deleted, or condemned, since it was put or looked at. One storage request, and those of
   * `put` if so.
   */
  async restore(repository: RepositoryName, manifest: Manifest, options: PutManifest): Promise<void> {
    const info = await this.#storage.head(layout.manifest(repository, manifest.digest));
    if (info?.sizeBytes !== manifest.bytes.length) await this.put(repository, manifest, options);
  }

  /** One storage request, two for a manifest with a subject. */
  async delete(repository: RepositoryName, { digest, bytes }: Manifest): Promise<void> {
    const { subject } = parseManifest(bytes);
    if (subject) await this.#referrers.remove(repository, subject.digest, digest);
    await this.#storage.delete(layout.manifest(repository, digest));
    this.#remembered.delete(`${repository} ${digest}`);
  }
}

function manifestOf(digest: Digest, { bytes }: ReadManifest): Manifest {
  return { digest, mediaType: mediaTypeOfStored(bytes), bytes };
}
