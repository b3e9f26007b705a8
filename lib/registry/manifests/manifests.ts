import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { checkDigest, digestOf } from '../../model/content-digest.ts';
import { MAX_INDEX_DEPTH, mediaTypeOfStored, parseManifest } from '../../model/manifest.ts';
import { algorithmOf, type Digest, type Reference, type RepositoryName, type Tag } from '../../model/names.ts';
import { type ObjectInfo, unchanged } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { OnTagChange } from '../tags/tag-change.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import type { ImageConversions } from '../v1-to-v2/convert-image.ts';
import { distinct, type ManifestChecks } from './manifest-checks.ts';
import { manifestUnknown, preconditionFailed } from './manifest-errors.ts';
import type { Manifest, StoredManifests } from './stored-manifests.ts';

/** How often a tag may move while it is read. */
const MAX_MOVES = 5;

export type PutManifestOptions = {
  contentType?: string;
  /** Further tags for the manifest. */
  tags?: readonly Tag[];
  /** Callers take turns at the checks of their manifests. */
  caller?: string;
  /** Whether the manifest may replace the one that the reference names now, if any. */
  precondition?: (current: Digest | undefined) => boolean;
};

/** What a conditional put replaces. */
type Replaced = { object: ObjectInfo | undefined } | { tag: ResolvedTag | undefined };

/**
 * The manifests of repositories.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export class Manifests {
  readonly #blobs: Blobs;
  readonly #tags: Tags;
  readonly #conversions: ImageConversions;
  readonly #stored: StoredManifests;
  readonly #checks: ManifestChecks;
  readonly #onTagChange: OnTagChange;

  constructor(dependencies: {
    blobs: Blobs;
    tags: Tags;
    conversions: ImageConversions;
    stored: StoredManifests;
    checks: ManifestChecks;
    onTagChange: OnTagChange;
  }) {
    this.#blobs = dependencies.blobs;
    this.#tags = dependencies.tags;
    this.#conversions = dependencies.conversions;
    this.#stored = dependencies.stored;
    this.#checks = dependencies.checks;
    this.#onTagChange = dependencies.onTagChange;
  }

  /**
   * By digest one storage request; by tag two, or one if the manifest was read before. A tag that names a v1 image gives the
   * conversion of that image.
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async get(repository: RepositoryName, reference: Reference): Promise<Manifest> {
    const manifest =
      'digest' in reference
        ? await this.#stored.find(repository, reference.digest)
        : await this.#findByTag(repository, reference.tag);
    if (!manifest) throw manifestUnknown(repository, reference);
    return manifest;
  }

  async #findByTag(repository: RepositoryName, tag: Tag): Promise<Manifest | undefined> {
    let before: Digest | undefined;
    for (let moves = 0; moves < MAX_MOVES; moves++) {
      const resolved = await this.#tags.find(repository, tag);
      // The same target twice, and nothing stored for it: the tag has not moved, so nothing will be there.
      if (!resolved || resolved.target.digest === before) return undefined;
      const manifest = await this.#findTarget(repository, resolved);
      if (manifest) return manifest;
      before = resolved.target.digest;
    }
    return undefined;
  }

  async #findTarget(repository: RepositoryName, { target }: ResolvedTag): Promise<Manifest | undefined> {
    const { digest, imageId } = target;
    const manifest = await this.#stored.findTagged(repository, digest);
    if (manifest || !imageId) return manifest;
    const conversion = await this.#conversions.convert(repository, imageId);
    return conversion && { ...conversion, mediaType: mediaTypeOfStored(conversion.bytes) };
  }

  /**
   * Stores a manifest whose blobs and children this repository holds. For N of them N + 2 storage requests, the N side by side,
   * two for each tag, and one for a subject; three more, beside the N, where tags may be immutable.
   * @param reference where the client puts it: a tag, or the digest that its bytes must have
   * @returns the manifest, and the digest of its subject if it has one
   * @throws RegistryError PRECONDITION_FAILED, MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, DENIED
   * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
   */
  async put(
    repository: RepositoryName,
    reference: Reference,
    bytes: Bytes,
    { contentType, tags = [], caller = '', precondition }: PutManifestOptions = {},
  ): Promise<Manifest & { subject?: Digest }> {
    const document = parseManifest(bytes, contentType);
    const { mediaType, blobs, subject } = document;
    const digest = digestOf(bytes, 'digest' in reference ? algorithmOf(reference.digest) : 'sha256');
    if ('digest' in reference) checkDigest(digest, reference.digest);
    const replaced = precondition && (await this.#checkPrecondition(repository, reference, precondition));
    await this.#checks.check(repository, digest, document, caller);

    // The manifest before its tags: a tag never names a manifest that is not there.
    const manifest = { digest, mediaType, bytes };
    const condition = replaced && 'object' in replaced ? unchanged(replaced.object) : {};
    if (!(await this.#stored.put(repository, manifest, document, condition))) {
      throw preconditionFailed(repository, reference);
    }
    await this.#blobs.reviveCondemnedLinks(
      repository,
      blobs.map((blob) => blob.digest),
    );
    const setTag = async (tag: Tag, onlyIf?: { tag: ResolvedTag | undefined }): Promise<void> => {
      if (!onlyIf) await this.#tags.setManifest(repository, tag, digest);
      else if (!(await this.#tags.moveManifest(repository, tag, digest, onlyIf.tag))) {
        throw preconditionFailed(repository, reference);
      }
      await this.#stored.restore(repository, manifest, document);
      this.#onTagChange(repository, { moved: tag });
    };
    const unset = new Set('tag' in reference ? [reference.tag, ...tags] : tags);
    // The precondition is that of the reference alone. If its tag has changed since, no other tag is set.
    if ('tag' in reference && replaced && 'tag' in replaced) {
      await setTag(reference.tag, replaced);
      unset.delete(reference.tag);
    }
    // Each tag by itself, all of them before the answer: an immutable one does not prevent the others.
    const outcomes = await mapConcurrently([...unset], (tag) => Promise.allSettled([setTag(tag)]));
    for (const [outcome] of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    return { ...manifest, ...(subject && { subject: subject.digest }) };
  }

  /**
   * By digest one storage request, by tag those of `get`.
   * @returns what is there now; `put` replaces nothing else
   * @throws RegistryError PRECONDITION_FAILED
   */
  async #checkPrecondition(
    repository: RepositoryName,
    reference: Reference,
    precondition: (current: Digest | undefined) => boolean,
  ): Promise<Replaced> {
    if ('digest' in reference) {
      const object = await this.#stored.head(repository, reference.digest);
      if (!precondition(object && reference.digest)) throw preconditionFailed(repository, reference);
      return { object };
    }
    const tag = await this.#tags.find(repository, reference.tag);
    const current = tag && (await this.#findTarget(repository, tag));
    if (!precondition(current?.digest)) throw preconditionFailed(repository, reference);
    return { tag };
  }

  /**
   * Makes a tag name a manifest that the repository holds. Three storage requests.
   * @returns false if it does not hold it
   * @throws RegistryError DENIED if the tag is immutable
   */
  async retag(repository: RepositoryName, tag: Tag, digest: Digest): Promise<boolean> {
    const manifest = await this.#stored.find(repository, digest);
    if (!manifest) return false;
    await this.#tags.setManifest(repository, tag, digest);
    await this.#stored.restore(repository, manifest);
    this.#onTagChange(repository, { moved: tag });
    return true;
  }

  /**
   * Copies a manifest into another repository, byte for byte, with links to its blobs, and tags it there. The children of an
   * index are copied first. Three storage requests for each blob that `to` does not hold, and those of `put`.
   * @throws RegistryError MANIFEST_UNKNOWN, and those of `put`
   */
  async copy(from: RepositoryName, to: RepositoryName, digest: Digest, tag?: Tag, depth = 0): Promise<void> {
    const manifest = await this.#stored.find(from, digest);
    if (!manifest || depth > MAX_INDEX_DEPTH) throw manifestUnknown(from, { digest });
    const { blobs, manifests } = parseManifest(manifest.bytes);
    for (const child of distinct(manifests)) {
      if (await this.#stored.head(to, child.digest)) continue;
      // A child may be a blob, or absent: `put` checks whether that is allowed.
      if (await this.#stored.head(from, child.digest)) await this.copy(from, to, child.digest, undefined, depth + 1);
      else await this.#blobs.mount(child.digest, from, to);
    }
    await mapConcurrently(distinct(blobs), async (blob) => {
      if (!(await this.#blobs.find(to, blob.digest))) await this.#blobs.mount(blob.digest, from, to);
    });
    await this.put(to, tag === undefined ? { digest } : { tag }, manifest.bytes);
  }
}
