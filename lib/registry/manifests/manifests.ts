import { LRUCache } from 'lru-cache';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { Slots } from '../../concurrency/slots.ts';
import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import {
  type Descriptor,
  MAX_INDEX_DEPTH,
  type ManifestDocument,
  mediaTypeOfStored,
  parseManifest,
} from '../../model/manifest.ts';
import { algorithmOf, type Digest, type RepositoryName, type Tag } from '../../model/names.ts';
import { type Condition, type ObjectInfo, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { type Bytes, MiB } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import { checkDigest, digestOf } from '../blobs/store.ts';
import { removeLeftovers } from '../tags/leftovers.ts';
import { listManifests } from '../tags/resolve-tags.ts';
import { immutableTag, type Tags } from '../tags/tags.ts';
import type { ResolvedTag, TagTarget } from '../tags/target.ts';
import type { ImmutableImageTags } from '../v1-images/immutable-image-tags.ts';
import { type ImageConversions, mayBeConversion } from '../v1-to-v2/convert-image.ts';
import type { Referrers } from './referrers.ts';

/** Of the manifests that were pulled last. */
const RECENT_BYTES = 8 * MiB;
/** How often a tag may move while it is read. */
const MAX_MOVES = 5;

/** Of what manifests name, by all who put some: more of them wait, and no other request waits for them. */
const LOOK_UPS_AT_ONCE = 64;

/** Whether the manifests that an index names have to be there. */
export type IndexChildren = 'required' | 'optional';

export type Reference = { digest: Digest } | { tag: Tag };
/**
 * A tag was moved, or deleted; or a manifest was deleted, with the tags that went with it and are gone, unless it was
 * pushed again meanwhile.
 */
export type TagChange =
  | { moved: Tag }
  | { deleted: Tag; target: TagTarget }
  | { deletedManifest: Digest; tags: readonly Tag[] };
/** Is told of each change after the fact; no request waits for what it does. */
export type OnTagChange = (repository: RepositoryName, change: TagChange) => void;
/** `subject` is what it refers to, if anything. */
export type PutManifest = Manifest & { subject?: Digest };
export type PutOptions = {
  contentType?: string;
  /** Further tags that shall name it. */
  tags?: Tag[];
  /** Who puts it: callers take turns at looking up what manifests name. */
  caller?: string;
  /** Whether it may replace the manifest that is there now; undefined for none. */
  isWanted?: (now: Digest | undefined) => boolean;
};
/** What a conditional put replaces. */
type Before = { object?: ObjectInfo | undefined; tag?: ResolvedTag | undefined };
export type Manifest = { digest: Digest; mediaType: string; bytes: Bytes };

/**
 * The manifests of repositories.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export class Manifests {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #tags: Tags;
  readonly #imageConversions: ImageConversions;
  readonly #referrers: Referrers;
  readonly #immutableImageTags: ImmutableImageTags;
  readonly #onTagChange: OnTagChange;
  readonly #indexChildren: IndexChildren;
  readonly #lookUps = new Slots({ atOnce: LOOK_UPS_AT_ONCE });
  readonly #recent = new LRUCache<string, Manifest>({
    maxSize: RECENT_BYTES,
    sizeCalculation: ({ bytes }) => bytes.length + 1,
  });

  constructor(
    storage: StorageDriver,
    dependencies: {
      blobs: Blobs;
      tags: Tags;
      imageConversions: ImageConversions;
      referrers: Referrers;
      immutableImageTags: ImmutableImageTags;
      onTagChange: OnTagChange;
    },
    { indexChildren = 'required' }: { indexChildren?: IndexChildren } = {},
  ) {
    this.#storage = storage;
    this.#blobs = dependencies.blobs;
    this.#tags = dependencies.tags;
    this.#imageConversions = dependencies.imageConversions;
    this.#referrers = dependencies.referrers;
    this.#immutableImageTags = dependencies.immutableImageTags;
    this.#onTagChange = dependencies.onTagChange;
    this.#indexChildren = indexChildren;
  }

  /**
   * By digest one storage request, by tag two, or one if it was pulled before. A tag of a v1 image gives the manifest made
   * from that image.
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async get(repository: RepositoryName, reference: Reference): Promise<Manifest> {
    const manifest =
      'digest' in reference
        ? await this.#find(repository, reference.digest)
        : await this.#findTagged(repository, reference.tag);
    if (!manifest) throw unknownManifest(repository, reference);
    return manifest;
  }

  async #findTagged(repository: RepositoryName, tag: Tag): Promise<Manifest | undefined> {
    let before: Digest | undefined;
    for (let moves = 0; moves < MAX_MOVES; moves++) {
      const resolved = await this.#tags.find(repository, tag);
      // Nothing there for what the tag still names.
      if (!resolved || resolved.target.digest === before) return undefined;
      const manifest = await this.#findResolved(repository, resolved);
      if (manifest) return manifest;
      // The manifest was deleted, and the tag has moved, since the tag was read.
      before = resolved.target.digest;
    }
    return undefined;
  }

  async #findResolved(repository: RepositoryName, { target }: ResolvedTag): Promise<Manifest | undefined> {
    const { digest, imageId } = target;
    // No tag names a manifest that is not there (it is written before its tags and deleted after them), and none changes. So
    // what is remembered is what is there, also if another process deletes it now: the tag was read before it was deleted.
    const recent = this.#recent.get(`${repository} ${digest}`);
    const manifest = recent ?? (await this.#find(repository, digest));
    if (manifest && !recent) this.#recent.set(`${repository} ${digest}`, manifest);
    if (manifest || !imageId) return manifest;
    const made = await this.#imageConversions.convert(repository, imageId);
    return made && { ...made, mediaType: mediaTypeOfStored(made.bytes) };
  }

  async #find(repository: RepositoryName, digest: Digest): Promise<Manifest | undefined> {
    const object = await this.#storage.read(layout.manifest(repository, digest));
    if (!object) return undefined;
    const bytes = object.bytes;
    return { digest, mediaType: mediaTypeOfStored(bytes), bytes };
  }

  /**
   * Takes a manifest whose blobs and children this repository holds. For N of them N + 2 storage requests, the N side
   * by side, two for each tag and one for a subject; three more, beside the N, where tags may be immutable.
   * @param reference where the client put it: a tag, or the digest it must have
   * @throws RegistryError PRECONDITION_FAILED, MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID, DENIED
   */
  async put(
    repository: RepositoryName,
    reference: Reference,
    bytes: Bytes,
    { contentType, tags = [], caller = '', isWanted }: PutOptions = {},
  ): Promise<PutManifest> {
    const document = parseManifest(bytes, contentType);
    const { mediaType, blobs, manifests, subject } = document;
    const digest = digestOf(bytes, 'digest' in reference ? algorithmOf(reference.digest) : 'sha256');
    if ('digest' in reference) checkDigest(digest, reference.digest);
    const before = isWanted && (await this.#checkWanted(repository, reference, isWanted));
    const checks = [
      ...distinct(blobs).map((blob) => () => this.#checkBlob(repository, blob)),
      ...distinct(manifests).map((child) => () => this.#checkChild(repository, child)),
      () => this.#checkImmutable(repository, digest),
    ];
    await mapConcurrently(checks, (check) => this.#lookUps.run(check, caller));

    // The manifest, then what leads to it: nothing ever leads nowhere.
    const isByDigest = 'digest' in reference;
    await this.#store(repository, digest, bytes, document, isByDigest && before ? unchanged(before.object) : {});
    await this.#blobs.keepLinks(
      repository,
      blobs.map((blob) => blob.digest),
    );
    // Each by itself: one that may not move keeps none of the others from being seen to.
    await mapConcurrently('tag' in reference ? [reference.tag, ...tags] : tags, async (tag) => {
      if (!before || isByDigest) await this.#tags.setManifest(repository, tag, digest);
      else if (!(await this.#tags.moveManifest(repository, tag, digest, before.tag)))
        throw notWanted(repository, reference);
      await this.#storeIfDeleted(repository, digest, bytes, document);
      this.#onTagChange(repository, { moved: tag });
    });
    return { digest, mediaType, bytes, ...(subject && { subject: subject.digest }) };
  }

  /**
   * What is there before it is replaced: nothing but that will be. By digest one storage request, by tag as `get`.
   * @throws RegistryError PRECONDITION_FAILED
   */
  async #checkWanted(
    repository: RepositoryName,
    reference: Reference,
    isWanted: NonNullable<PutOptions['isWanted']>,
  ): Promise<Before> {
    const before: Before = {};
    let digest: Digest | undefined;
    if ('digest' in reference) {
      before.object = await this.#storage.head(layout.manifest(repository, reference.digest));
      digest = before.object && reference.digest;
    } else {
      before.tag = await this.#tags.find(repository, reference.tag);
      digest = before.tag && (await this.#findResolved(repository, before.tag))?.digest;
    }
    if (!isWanted(digest)) throw notWanted(repository, reference);
    return before;
  }

  /**
   * Lets a tag name a manifest that the repository holds. Three storage requests.
   * @returns false if it does not hold it
   * @throws RegistryError DENIED
   */
  async retag(repository: RepositoryName, tag: Tag, digest: Digest): Promise<boolean> {
    const manifest = await this.#find(repository, digest);
    if (!manifest) return false;
    await this.#tags.setManifest(repository, tag, digest);
    await this.#storeIfDeleted(repository, digest, manifest.bytes, parseManifest(manifest.bytes));
    this.#onTagChange(repository, { moved: tag });
    return true;
  }

  /**
   * Gives a repository a manifest that another one holds, byte for byte, with links to all it names, and lets a tag name it.
   * Children of an index first. Three storage requests for each blob that is not there already, and those of `put`.
   * @throws RegistryError MANIFEST_UNKNOWN, and as `put`
   */
  async copy(from: RepositoryName, to: RepositoryName, digest: Digest, tag?: Tag, depth = 0): Promise<void> {
    const manifest = await this.#find(from, digest);
    if (!manifest || depth > MAX_INDEX_DEPTH) throw unknownManifest(from, { digest });
    const { blobs, manifests } = parseManifest(manifest.bytes);
    for (const child of distinct(manifests)) {
      if (await this.#storage.head(layout.manifest(to, child.digest))) continue;
      // What is no manifest there is a blob of the index, or was never pushed: `put` knows whether that may be.
      if (await this.#storage.head(layout.manifest(from, child.digest)))
        await this.copy(from, to, child.digest, undefined, depth + 1);
      else await this.#blobs.mount(child.digest, from, to);
    }
    await mapConcurrently(distinct(blobs), async (blob) => {
      if (!(await this.#blobs.find(to, blob.digest))) await this.#blobs.mount(blob.digest, from, to);
    });
    await this.put(to, tag === undefined ? { digest } : { tag }, manifest.bytes);
  }

  async #checkBlob(repository: RepositoryName, { digest, sizeBytes }: Descriptor): Promise<void> {
    const link = await this.#blobs.find(repository, digest);
    if (!link) throw missing(repository, digest);
    checkSize(digest, sizeBytes, link.sizeBytes);
  }

  async #checkImmutable(repository: RepositoryName, digest: Digest): Promise<void> {
    const tag = await this.#immutableImageTags.findImmutableTagFor(repository, digest);
    if (tag) throw immutableTag(repository, tag);
  }

  async #checkChild(repository: RepositoryName, { digest, sizeBytes }: Descriptor): Promise<void> {
    const child = await this.#storage.head(layout.manifest(repository, digest));
    if (child) checkSize(digest, sizeBytes, child.sizeBytes);
    else if (this.#indexChildren === 'required') throw missing(repository, digest);
  }

  /**
   * Deletes a tag, or a manifest and every tag that names it. Blobs stay.
   * @returns the tags that went with a manifest
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async delete(repository: RepositoryName, reference: Reference): Promise<Tag[]> {
    if ('tag' in reference) {
      const resolved = await this.#tags.find(repository, reference.tag);
      if (!resolved) throw unknownManifest(repository, reference);
      await this.#tags.deleteIfUnchanged(repository, resolved);
      this.#onTagChange(repository, { deleted: resolved.tag, target: resolved.target });
      return [];
    }
    const { digest } = reference;
    const [manifest, tags] = await Promise.all([
      this.#find(repository, digest),
      this.#tags.resolveAll(repository, { expected: [digest] }),
    ]);
    if (!manifest) throw unknownManifest(repository, reference);
    // Tags first: a crash in between leaves a manifest that no tag names, not a tag that leads nowhere.
    const naming = await this.#tags.confirm(repository, await this.#naming(repository, manifest, tags));
    await mapConcurrently(naming, (tag) => this.#tags.deleteIfUnchanged(repository, tag));
    const { subject } = parseManifest(manifest.bytes);
    if (subject) await this.#referrers.remove(repository, subject.digest, digest);
    await this.#storage.delete(layout.manifest(repository, digest));
    this.#recent.delete(`${repository} ${digest}`);
    const gone = new Set(naming.map(({ tag }) => tag));
    const others = tags.filter(({ tag }) => !gone.has(tag));
    const changed = await this.#tags.resolveChanged(repository, others);
    await this.#restoreIfTagged(repository, manifest, changed);
    const back = new Set(changed.map(({ tag }) => tag));
    const deleted = [...gone].filter((tag) => !back.has(tag));
    if (others.length + changed.length === 0) await removeLeftovers(this.#storage, repository);
    this.#onTagChange(repository, { deletedManifest: digest, tags: deleted });
    return naming.map(({ tag }) => tag);
  }

  /** The manifest may have been pushed again, under a tag that the deletion did not see: then it stays. */
  async #restoreIfTagged(
    repository: RepositoryName,
    { digest, bytes }: Manifest,
    changed: readonly ResolvedTag[],
  ): Promise<void> {
    if (!changed.some(({ target }) => target.digest === digest)) return;
    await this.#store(repository, digest, bytes, parseManifest(bytes));
  }

  /** A deletion that looked for tags before one was there may have taken the manifest from under it. */
  async #storeIfDeleted(
    repository: RepositoryName,
    digest: Digest,
    bytes: Bytes,
    document: ManifestDocument,
  ): Promise<void> {
    if (await this.#storage.head(layout.manifest(repository, digest))) return;
    await this.#store(repository, digest, bytes, document);
  }

  async #store(
    repository: RepositoryName,
    digest: Digest,
    bytes: Bytes,
    document: ManifestDocument,
    condition: Condition = {},
  ): Promise<void> {
    const { mediaType, subject } = document;
    const options = { contentType: mediaType, ...condition };
    const etag = await this.#storage.put(layout.manifest(repository, digest), bytes, options);
    if (etag === undefined) throw notWanted(repository, { digest });
    if (!subject) return;
    await this.#referrers.add(repository, subject.digest, { ...document, digest, sizeBytes: bytes.length });
  }

  /** The tags that lead to this manifest, also by way of a v1 image from which it was made. */
  async #naming(
    repository: RepositoryName,
    { digest, bytes }: Manifest,
    tags: readonly ResolvedTag[],
  ): Promise<ResolvedTag[]> {
    const direct = tags.filter(({ target }) => target.digest === digest);
    if (!mayBeConversion(bytes) || direct.length === tags.length) return direct;
    // A tag that names a manifest of this repository shows that, and no image.
    const held = new Set(await listManifests(this.#storage, repository));
    const images = tags.flatMap(({ target }) => (target.imageId && !held.has(target.digest) ? [target.imageId] : []));
    if (images.length === 0) return direct;
    const sources = await this.#imageConversions.findSources(digest, new Set(images));
    const isMade = ({ target }: ResolvedTag) => target.imageId !== undefined && sources.has(target.imageId);
    return [...direct, ...tags.filter((tag) => tag.target.digest !== digest && isMade(tag))];
  }
}

function distinct(descriptors: Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((item) => [`${item.digest} ${item.sizeBytes}`, item])).values()];
}

function checkSize(digest: Digest, said: number, actual: number): void {
  if (said !== actual) {
    throw new RegistryError('MANIFEST_INVALID', `${digest} has ${actual} bytes, the manifest says ${said}`, {
      detail: { digest, size: actual },
    });
  }
}

function missing(repository: RepositoryName, digest: Digest): RegistryError {
  return new RegistryError('MANIFEST_BLOB_UNKNOWN', `${digest} is unknown to ${repository}: push it first`, {
    detail: { digest },
  });
}

function notWanted(repository: RepositoryName, reference: Reference): RegistryError {
  const name = 'digest' in reference ? reference.digest : reference.tag;
  return new RegistryError(
    'PRECONDITION_FAILED',
    `${name} of ${repository} is not what If-Match or If-None-Match says`,
    {
      detail: reference,
    },
  );
}

function unknownManifest(repository: RepositoryName, reference: Reference): RegistryError {
  const name = 'digest' in reference ? reference.digest : reference.tag;
  return new RegistryError('MANIFEST_UNKNOWN', `manifest ${name} is unknown to ${repository}`, {
    detail: reference,
  });
}
