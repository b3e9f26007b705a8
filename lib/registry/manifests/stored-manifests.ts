import { LRUCache } from 'lru-cache';
import { layout } from '../../model/layout.ts';
import { type ManifestDocument, mediaTypeOfStored, parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { Condition, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { type Bytes, MiB } from '../../streams/bytes.ts';
import type { Referrers } from './referrers.ts';

/** Memory of one process for the manifests that it read by tag most recently. */
const REMEMBERED_BYTES = 8 * MiB;

export type Manifest = { digest: Digest; mediaType: string; bytes: Bytes };

/** The manifests of each repository in storage, each with its entry among the referrers of its subject. */
export class StoredManifests {
  readonly #storage: StorageDriver;
  readonly #referrers: Referrers;
  readonly #remembered = new LRUCache<string, Manifest>({
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: ({ bytes }) => bytes.length + 1,
  });

  constructor(storage: StorageDriver, referrers: Referrers) {
    this.#storage = storage;
    this.#referrers = referrers;
  }

  /** One storage request. */
  async find(repository: RepositoryName, digest: Digest): Promise<Manifest | undefined> {
    const object = await this.#storage.read(layout.manifest(repository, digest));
    return object && { digest, mediaType: mediaTypeOfStored(object.bytes), bytes: object.bytes };
  }

  /**
   * A manifest that a tag names at this moment. One storage request, or none if it was read before: a manifest is written before
   * its tags, deleted after them, and never changed, so while the tag names it, what is remembered is what is stored.
   */
  async findTagged(repository: RepositoryName, digest: Digest): Promise<Manifest | undefined> {
    const name = `${repository} ${digest}`;
    const remembered = this.#remembered.get(name);
    if (remembered) return remembered;
    const manifest = await this.find(repository, digest);
    if (manifest) this.#remembered.set(name, manifest);
    return manifest;
  }

  /** One storage request. */
  async head(repository: RepositoryName, digest: Digest): Promise<ObjectInfo | undefined> {
    return await this.#storage.head(layout.manifest(repository, digest));
  }

  /**
   * One storage request, two for a manifest with a subject.
   * @returns false if the condition did not hold; then nothing was written
   */
  async put(
    repository: RepositoryName,
    { digest, bytes }: Manifest,
    document: ManifestDocument = parseManifest(bytes),
    condition: Condition = {},
  ): Promise<boolean> {
    const { mediaType, subject } = document;
    const options = { contentType: mediaType, ...condition };
    if (!(await this.#storage.put(layout.manifest(repository, digest), bytes, options))) return false;
    if (subject) {
      await this.#referrers.add(repository, subject.digest, { ...document, digest, sizeBytes: bytes.length });
    }
    return true;
  }

  /** Writes a manifest again that a concurrent deletion has removed. One storage request, and those of `put` if so. */
  async restore(repository: RepositoryName, manifest: Manifest, document?: ManifestDocument): Promise<void> {
    if (await this.head(repository, manifest.digest)) return;
    await this.put(repository, manifest, document);
  }

  /** One storage request, two for a manifest with a subject. */
  async delete(repository: RepositoryName, { digest, bytes }: Manifest): Promise<void> {
    const { subject } = parseManifest(bytes);
    if (subject) await this.#referrers.remove(repository, subject.digest, digest);
    await this.#storage.delete(layout.manifest(repository, digest));
    this.#remembered.delete(`${repository} ${digest}`);
  }
}
