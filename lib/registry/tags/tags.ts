import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { layout, tagOf } from '../../model/layout.ts';
import { type Digest, type ImageId, type RepositoryName, sha256Digest, type Tag } from '../../model/names.ts';
import { deleteIf } from '../../storage/deletions.ts';
import { AS_TEXT, type ETag, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import type { Look } from '../condemned/look.ts';
import { type Hints, TagResolver } from './resolve-tags.ts';
import type { IsRepeated, RecordMove } from './tag-change.ts';
import { decodeTarget, encodeTarget, type ResolvedTag, type TagTarget, targetOf } from './target.ts';

/** Whether no push may move a tag; without a tag, whether the repository may hold such a tag. */
export type IsImmutable = (repository: RepositoryName, tag?: Tag) => boolean;

/** The sizes in bytes of a tag's object: an image id of 64 or 16 digits, or a SHA-512 digest. */
const TARGET_SIZES = [64, 16, 'sha512:'.length + 128];

/**
 * The tags of repositories. Each is one object, so one atomic put moves a tag for v1 and v2 alike. Each move is recorded, with
 * the name of the caller; the storage request for that is not counted here.
 */
export class Tags {
  readonly #storage: StorageDriver;
  readonly #isImmutable: IsImmutable;
  readonly #recordMove: RecordMove;
  readonly #targets: TagResolver;

  constructor(
    storage: StorageDriver,
    { isImmutable = () => false, recordMove }: { isImmutable?: IsImmutable | undefined; recordMove: RecordMove },
  ) {
    this.#storage = storage;
    this.#isImmutable = isImmutable;
    this.#recordMove = recordMove;
    this.#targets = new TagResolver(storage);
  }

  /** One storage request. `undefined` if there is no such tag. */
  async find(repository: RepositoryName, tag: Tag): Promise<ResolvedTag | undefined> {
    const object = await this.#storage.read(layout.tag(repository, tag));
    if (!object) return undefined;
    const target = decodeTarget(decodeText(object.bytes));
    const { etag, lastModified } = object.info;
    return target && { tag, target, etag, lastModified, isRead: true };
  }

  /**
   * Sets the tag to a manifest. One storage request.
   * @param options.look at the manifest
   * @returns whether it named the manifest before
   * @throws RegistryError DENIED if it is immutable and names something else
   * @throws StorageUnavailableError if the look has expired
   */
  async setManifest(
    repository: RepositoryName,
    tag: Tag,
    digest: Digest,
    { look, by }: { look: Look; by: string },
  ): Promise<IsRepeated> {
    return await this.#put(repository, tag, targetOf(digest), { look, by });
  }

  /**
   * Sets the tag, unless it has changed since it was read. One storage request.
   * @param options.before the tag as it was read; undefined if it did not exist
   * @param options.look at what the tag is to name
   * @returns false if it has changed; then nothing is written
   * @throws RegistryError DENIED if it is immutable and names something else
   */
  async moveTo(
    repository: RepositoryName,
    tag: Tag,
    to: TagTarget,
    { before, look, by }: { before: ResolvedTag | undefined; look: Look; by: string },
  ): Promise<boolean> {
    const isMove = before?.target.digest !== to.digest;
    if (before && isMove && this.#isImmutable(repository, tag)) throw immutableTag(repository, tag);
    const condition = before ? { ifMatch: before.etag } : { ifAbsent: true };
    const bytes = encodeText(encodeTarget(to.digest));
    const options = { ...AS_TEXT, ...condition, look };
    if (!(await this.#storage.put(layout.tag(repository, tag), bytes, options))) return false;
    if (isMove) await this.#recordMove(repository, { tag, to, by, ...(before && { from: before.target }) });
    return true;
  }

  /**
   * Sets the tag to a v1 image. One storage request.
   * @param options.look at the images of its ancestry
   * @throws RegistryError DENIED if it is immutable and names something else
   * @throws StorageUnavailableError if the look has expired
   */
  async setImage(
    repository: RepositoryName,
    tag: Tag,
    id: ImageId,
    { look, by }: { look: Look; by: string },
  ): Promise<void> {
    await this.#put(repository, tag, targetOf(sha256Digest(id)), { look, by });
  }

  async #put(
    repository: RepositoryName,
    tag: Tag,
    to: TagTarget,
    { look, by }: { look: Look; by: string },
  ): Promise<IsRepeated> {
    const ifAbsent = this.#isImmutable(repository, tag);
    const options = { ...AS_TEXT, ...(ifAbsent && { ifAbsent }), look };
    const text = encodeTarget(to.digest);
    if (await this.#storage.put(layout.tag(repository, tag), encodeText(text), options)) {
      return await this.#recordMove(repository, { tag, to, by });
    }
    // Clients repeat pushes: the same target again is not a move.
    const stored = await this.#storage.read(layout.tag(repository, tag));
    if (stored && decodeText(stored.bytes) === text) return async () => true;
    throw immutableTag(repository, tag);
  }

  /** Whether no push may move this tag; without a tag, whether the repository may hold such a tag. */
  isImmutable(repository: RepositoryName, tag?: Tag): boolean {
    return this.#isImmutable(repository, tag);
  }

  /** The names of tags in ASCII order, after `after`, which need not exist. One storage request per 1,000 tags. */
  async *list(repository: RepositoryName, options: { after?: string } = {}): AsyncGenerator<Tag> {
    const after = options.after ? { after: layout.tagsAfter(repository, options.after) } : {};
    for await (const object of this.#storage.list(layout.tags(repository), after)) {
      if (await this.#isTag(object)) yield tagOf(object.key);
    }
  }

  /**
   * Tags with their targets. One storage request per 1,000 tags, and those of `TagResolver`.
   * @param isWanted chooses tags by name; the others are not resolved
   * @param hints what the tags are likely to name
   */
  async resolveAll(
    repository: RepositoryName,
    { isWanted = () => true, ...hints }: { isWanted?: (tag: Tag) => boolean } & Hints = {},
  ): Promise<ResolvedTag[]> {
    const listed = await Array.fromAsync(this.listObjects(repository));
    const objects = listed.filter(({ key }) => isWanted(tagOf(key)));
    return await this.#targets.resolve(repository, { objects, ...hints });
  }

  /** The objects whose size is that of a tag, for `resolveObjects`. One storage request per 1,000. */
  async *listObjects(repository: RepositoryName): AsyncGenerator<ObjectInfo> {
    for await (const object of this.#storage.list(layout.tags(repository))) {
      if (TARGET_SIZES.includes(object.sizeBytes)) yield object;
    }
  }

  /** Listed tags with their targets. The storage requests of `TagResolver`. @param objects of `listObjects` */
  async resolveObjects(
    repository: RepositoryName,
    objects: readonly ObjectInfo[],
    hints: Hints = {},
  ): Promise<ResolvedTag[]> {
    return await this.#targets.resolve(repository, { objects, ...hints });
  }

  /**
   * Those of the tags that still have the same target; one whose target was derived from an ETag is read. One storage request
   * for each of those, side by side.
   */
  async confirm(repository: RepositoryName, resolved: readonly ResolvedTag[]): Promise<ResolvedTag[]> {
    const confirmed = await mapConcurrently(resolved, async (derived) => {
      if (derived.isRead) return [derived];
      const read = await this.find(repository, derived.tag);
      return read?.target.digest === derived.target.digest ? [read] : [];
    });
    return confirmed.flat();
  }

  /**
   * The tags that were set or moved since `before` was resolved. One storage request for each, and those of the listing.
   * @param listing objects of the repository, listed since then. Default: its tags, one storage request per 1,000
   */
  async resolveChanged(
    repository: RepositoryName,
    before: readonly ResolvedTag[],
    listing: AsyncIterable<ObjectInfo> | Iterable<ObjectInfo> = this.#storage.list(layout.tags(repository)),
  ): Promise<ResolvedTag[]> {
    const known = new Map<string, ETag>(before.map(({ tag, etag }) => [tag, etag]));
    const changed: Tag[] = [];
    for await (const { key, etag, sizeBytes } of listing) {
      if (!layout.isTag(key) || !TARGET_SIZES.includes(sizeBytes)) continue;
      if (known.get(tagOf(key)) !== etag) changed.push(tagOf(key));
    }
    const resolved = await mapConcurrently(changed, (tag) => this.find(repository, tag));
    return resolved.filter((tag) => tag !== undefined);
  }

  /**
   * Deletes a tag, unless it moves meanwhile. Two storage requests.
   * @param isWanted decides by what the tag names now
   * @returns what the tag named, and whether it was deleted; `undefined` if there is no such tag, or it is not wanted
   */
  async delete(
    repository: RepositoryName,
    tag: Tag,
    by: string,
    isWanted: (target: TagTarget) => boolean = () => true,
  ): Promise<{ target: TagTarget; isDeleted: boolean } | undefined> {
    let target: TagTarget | undefined;
    const outcome = await deleteIf(this.#storage, layout.tag(repository, tag), ({ bytes }) => {
      target = decodeTarget(decodeText(bytes));
      return target !== undefined && isWanted(target);
    });
    if (!target || outcome === 'absent' || outcome === 'unwanted') return undefined;
    if (outcome === 'deleted') await this.#recordMove(repository, { tag, from: target, by });
    return { target, isDeleted: outcome === 'deleted' };
  }

  /** Deletes a tag. @returns false if it has moved since it was resolved; then it stays. One storage request. */
  async deleteIfUnchanged(
    repository: RepositoryName,
    { tag, etag, target }: ResolvedTag,
    by: string,
  ): Promise<boolean> {
    if (!(await this.#storage.delete(layout.tag(repository, tag), { ifMatch: etag }))) return false;
    await this.#recordMove(repository, { tag, from: target, by });
    return true;
  }

  /** docker-registry stored the metadata of a tag `_x` as `tag_x_json`, the key of a tag `x_json`. Only such keys are read. */
  async #isTag(object: ObjectInfo): Promise<boolean> {
    if (!TARGET_SIZES.includes(object.sizeBytes)) return false;
    if (!layout.mayBeLegacyTagJson(object.key)) return true;
    const stored = await this.#storage.read(object.key);
    return stored !== undefined && decodeTarget(decodeText(stored.bytes)) !== undefined;
  }
}

/** A push would move an immutable tag. */
export function immutableTag(repository: RepositoryName, tag: Tag): RegistryError {
  return new RegistryError('DENIED', `${tag} of ${repository} is immutable and names something else already`, {
    detail: { tag },
  });
}

/** The client asked for a tag that does not exist. */
export function unknownTag(tag: Tag): RegistryError {
  return new RegistryError('TAG_UNKNOWN', 'Tag not found', { detail: { tag } });
}
