import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { checkDigest, digestOf } from '../../model/content-digest.ts';
import type { JsonObject } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { MAX_INDEX_DEPTH, type ManifestDocument, parseManifest } from '../../model/manifest.ts';
import { algorithmOf, type Digest, type Reference, type RepositoryName, type Tag } from '../../model/names.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { type ObjectInfo, StorageUnavailableError, unchanged } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import { readConfig } from '../blobs/read-config.ts';
import type { Look } from '../condemned/look.ts';
import type { Reader } from '../condemned/revive-for-reader.ts';
import type { PushedManifest } from '../tags/pushed-manifest.ts';
import type { IsRepeated, OnTagChange } from '../tags/tag-change.ts';
import type { Tags } from '../tags/tags.ts';
import { type ResolvedTag, targetOf } from '../tags/target.ts';
import { distinct, type ManifestChecks } from './manifest-checks.ts';
import { manifestUnknown, preconditionFailed } from './manifest-errors.ts';
import type { ManifestReads } from './manifest-reads.ts';
import type { FactsStore } from './stored-facts.ts';
import type { Manifest, StoredManifests } from './stored-manifests.ts';

export type PutManifestOptions = {
  /** The caller's name, for the history of the tags. */
  by: string;
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
  readonly #reads: ManifestReads;
  readonly #stored: StoredManifests;
  readonly #checks: ManifestChecks;
  readonly #facts: FactsStore;
  readonly #onTagChange: OnTagChange;

  constructor(dependencies: {
    blobs: Blobs;
    tags: Tags;
    reads: ManifestReads;
    stored: StoredManifests;
    checks: ManifestChecks;
    facts: FactsStore;
    onTagChange: OnTagChange;
  }) {
    this.#blobs = dependencies.blobs;
    this.#tags = dependencies.tags;
    this.#reads = dependencies.reads;
    this.#stored = dependencies.stored;
    this.#checks = dependencies.checks;
    this.#facts = dependencies.facts;
    this.#onTagChange = dependencies.onTagChange;
  }

  /** As `ManifestReads.get`. @throws RegistryError MANIFEST_UNKNOWN */
  async get(repository: RepositoryName, reference: Reference, reader?: Reader): Promise<Manifest> {
    return await this.#reads.get(repository, reference, reader);
  }

  /** Whether the repository holds the manifest. One storage request. */
  async has(repository: RepositoryName, digest: Digest): Promise<boolean> {
    return await this.#stored.has(repository, digest);
  }

  /** The digests of all manifests of a repository. One storage request per 1,000. */
  async list(repository: RepositoryName): Promise<Digest[]> {
    return await this.#stored.list(repository);
  }

  /**
   * Stores a manifest whose blobs and children this repository holds. For N of them N + 1 storage requests, the N side by side,
   * two for each tag, and one for a subject; three more, beside the N, where tags may be immutable. One more for each blob, and
   * two for each child, that is condemned.
   * @param reference where the client puts it: a tag, or the digest that its bytes must have
   * @returns the manifest, and the digest of its subject if it has one
   * @throws RegistryError PRECONDITION_FAILED, MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, DENIED
   * @throws StorageUnavailableError if it was held up until its look at the blobs and children had expired
   * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
   */
  async put(
    repository: RepositoryName,
    reference: Reference,
    bytes: Bytes,
    { by, contentType, tags = [], caller = '', precondition }: PutManifestOptions,
  ): Promise<Manifest & { subject?: Digest }> {
    const document = parseManifest(bytes, contentType);
    const { mediaType, subject } = document;
    const digest = digestOf(bytes, 'digest' in reference ? algorithmOf(reference.digest) : 'sha256');
    if ('digest' in reference) checkDigest(digest, reference.digest);
    const replaced = precondition && (await this.#checkPrecondition(repository, reference, precondition));
    const { look, links } = await this.#checkAndLook(repository, digest, document, caller);

    // The manifest before its tags: a tag never names a manifest that is not there.
    const manifest = { digest, mediaType, bytes };
    if (precondition && replaced && 'object' in replaced) {
      await compareAndSwap(layout.manifest(repository, digest), {
        // The object has changed also where the same manifest was condemned meanwhile.
        read: () => this.#checkPrecondition(repository, reference, precondition),
        write: async (before) => {
          const condition = 'object' in before ? unchanged(before.object) : {};
          return (await this.#stored.put(repository, manifest, { document, look, ...condition })) || undefined;
        },
        first: { before: replaced },
      });
    } else await this.#stored.put(repository, manifest, { document, look });

    const pushed = this.#pushed(manifest, document, links);
    this.#facts.recordLater(repository, pushed);
    const setTag = async (tag: Tag, onlyIf?: { tag: ResolvedTag | undefined }): Promise<void> => {
      let isRepeated: IsRepeated | undefined;
      if (!onlyIf) isRepeated = await this.#tags.setManifest(repository, tag, digest, { look, by });
      else if (!(await this.#tags.moveTo(repository, tag, targetOf(digest), { before: onlyIf.tag, look, by }))) {
        throw preconditionFailed(repository, reference);
      }
      await this.#stored.restore(repository, manifest, { document, look });
      this.#onTagChange(repository, { moved: tag, pushed, ...(isRepeated && { isRepeated }) });
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

  /** @param links of its blobs */
  #pushed(
    { digest, bytes }: Manifest,
    document: ManifestDocument,
    links: ReadonlyMap<Digest, BlobLink>,
  ): PushedManifest {
    const link = document.config?.mediaType.endsWith('json') ? links.get(document.config.digest) : undefined;
    let reading: Promise<JsonObject | undefined> | undefined;
    const config = async () => {
      reading ??= link && readConfig(this.#blobs, link);
      return await reading;
    };
    return { digest, bytes, document, links, config };
  }

  /** Checks a manifest, and once more if the look has expired by then. @returns the look, and the links of the blobs. @throws as `ManifestChecks.check` */
  async #checkAndLook(
    repository: RepositoryName,
    digest: Digest,
    document: ManifestDocument,
    caller: string,
  ): Promise<{ look: Look; links: Map<Digest, BlobLink> }> {
    const look = this.#stored.startLook();
    try {
      const links = await this.#checks.check(repository, digest, document, { caller, look });
      look.check();
      return { look, links };
    } catch (error) {
      if (look.isValid || !(error instanceof StorageUnavailableError)) throw error;
    }
    const second = this.#stored.startLook();
    const links = await this.#checks.check(repository, digest, document, { caller, look: second });
    return { look: second, links };
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
      const { object, isPresent } = await this.#stored.stateOf(repository, reference.digest);
      if (!precondition(isPresent ? reference.digest : undefined)) throw preconditionFailed(repository, reference);
      return { object };
    }
    const tag = await this.#tags.find(repository, reference.tag);
    const current = tag && (await this.#reads.findTarget(repository, tag));
    if (!precondition(current?.digest)) throw preconditionFailed(repository, reference);
    return { tag };
  }

  /**
   * Makes a tag name a manifest that the repository holds. Three storage requests, and one more if the manifest is condemned.
   * @returns false if it does not hold it
   * @throws RegistryError DENIED if the tag is immutable
   */
  async retag(repository: RepositoryName, tag: Tag, digest: Digest, by: string): Promise<boolean> {
    const look = this.#stored.startLook();
    const manifest = await this.#stored.lookAt(repository, digest, look);
    if (!manifest) return false;
    await this.#tags.setManifest(repository, tag, digest, { look, by });
    await this.#stored.restore(repository, manifest, { look });
    this.#onTagChange(repository, { moved: tag });
    return true;
  }

  /**
   * Makes a tag name a manifest that the repository holds, unless the tag has changed since it was read. As `put`, which makes
   * live what the collector has condemned; one storage request more.
   * @param options.before the tag as it was read; undefined if it did not exist
   * @throws RegistryError DENIED if the tag is immutable; MANIFEST_BLOB_UNKNOWN if a blob or child is missing
   * @throws StorageUnavailableError as `put`
   */
  async moveTag(
    repository: RepositoryName,
    tag: Tag,
    digest: Digest,
    { before, by }: { before: ResolvedTag | undefined; by: string },
  ): Promise<'tag is set' | 'tag has changed' | 'no such manifest'> {
    const manifest = await this.#stored.find(repository, digest);
    if (!manifest) return 'no such manifest';
    const document = parseManifest(manifest.bytes);
    const { look } = await this.#checkAndLook(repository, digest, document, by);
    await this.#stored.put(repository, manifest, { document, look });
    if (!(await this.#tags.moveTo(repository, tag, targetOf(digest), { before, look, by }))) return 'tag has changed';
    await this.#stored.restore(repository, manifest, { document, look });
    this.#onTagChange(repository, { moved: tag });
    return 'tag is set';
  }

  /**
   * Copies a manifest into another repository, byte for byte, with links to its blobs, and tags it there. The children of an
   * index are copied first. Three storage requests for each blob that `to` does not hold, and those of `put`.
   * @throws RegistryError MANIFEST_UNKNOWN, and those of `put`
   */
  async copy(
    from: RepositoryName,
    to: RepositoryName,
    digest: Digest,
    tagging?: { tag: Tag; by: string },
    depth = 0,
  ): Promise<void> {
    const manifest = await this.#stored.find(from, digest);
    if (!manifest || depth > MAX_INDEX_DEPTH) throw manifestUnknown(from, { digest });
    const { blobs, manifests } = parseManifest(manifest.bytes);
    for (const child of distinct(manifests)) {
      if (await this.#stored.has(to, child.digest)) continue;
      // A child may be a blob, or absent: `put` checks whether that is allowed.
      if (await this.#stored.has(from, child.digest)) await this.copy(from, to, child.digest, undefined, depth + 1);
      else await this.#blobs.mount(child.digest, from, to);
    }
    await mapConcurrently(distinct(blobs), async (blob) => {
      if (!(await this.#blobs.find(to, blob.digest))) await this.#blobs.mount(blob.digest, from, to);
    });
    // Without a tag no move is recorded, so the caller's name is not needed.
    await this.put(to, tagging ? { tag: tagging.tag } : { digest }, manifest.bytes, { by: tagging?.by ?? '' });
  }
}
