import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { type Key, layout, tagOf } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName, Tag } from '../../model/names.ts';
import { AS_TEXT, type ETag, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import { type Hints, TagResolver } from './resolve-tags.ts';
import { decodeTarget, encodeTarget, type ResolvedTag } from './target.ts';

/** Whether a tag that is there stays what it is, until it is deleted; without a tag, whether any in this repository may. */
export type IsImmutable = (repository: RepositoryName, tag?: Tag) => boolean;

/** The sizes that a tag's object can have: an image id of 64 or 16 digits, or a digest by SHA-512. */
const TARGET_SIZES = [64, 16, 'sha512:'.length + 128];

/** The tags of repositories: one object each, so that one atomic put moves a tag for v1 and v2 alike. */
export class Tags {
  readonly #storage: StorageDriver;
  readonly #isImmutable: IsImmutable;
  readonly #targets: TagResolver;

  constructor(storage: StorageDriver, isImmutable: IsImmutable = () => false) {
    this.#storage = storage;
    this.#isImmutable = isImmutable;
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

  /** Makes the tag name a manifest. One storage request. @throws RegistryError DENIED if it names another, and may not move */
  async setManifest(repository: RepositoryName, tag: Tag, digest: Digest): Promise<void> {
    await this.#put(repository, tag, encodeTarget(digest));
  }

  /**
   * As `setManifest`, if the tag is still what it was before.
   * @returns false if it is not; then nothing has been written
   */
  async moveManifest(
    repository: RepositoryName,
    tag: Tag,
    digest: Digest,
    before: ResolvedTag | undefined,
  ): Promise<boolean> {
    if (before && before.target.digest !== digest && this.#isImmutable(repository, tag)) {
      throw immutableTag(repository, tag);
    }
    const condition = before ? { ifMatch: before.etag } : { ifAbsent: true };
    const bytes = encodeText(encodeTarget(digest));
    return (await this.#storage.put(layout.tag(repository, tag), bytes, { ...AS_TEXT, ...condition })) !== undefined;
  }

  /** Makes the tag name a v1 image. One storage request. @throws RegistryError DENIED if it names another, and may not move */
  async setImage(repository: RepositoryName, tag: Tag, id: ImageId): Promise<void> {
    await this.#put(repository, tag, id);
  }

  async #put(repository: RepositoryName, tag: Tag, target: string): Promise<void> {
    const ifAbsent = this.#isImmutable(repository, tag);
    const options = { ...AS_TEXT, ...(ifAbsent && { ifAbsent }) };
    if (await this.#storage.put(layout.tag(repository, tag), encodeText(target), options)) return;
    // To push again what is there already is no change, and clients do.
    const stored = await this.#storage.read(layout.tag(repository, tag));
    if (stored && decodeText(stored.bytes) === target) return;
    throw immutableTag(repository, tag);
  }

  /** Whether no push may move this tag; without a tag, whether the repository may hold such a tag. */
  isImmutable(repository: RepositoryName, tag?: Tag): boolean {
    return this.#isImmutable(repository, tag);
  }

  /** In ASCII order, after `after` if given, which need not be a tag. One storage request per 1,000 tags. */
  async *list(repository: RepositoryName, options: { after?: string } = {}): AsyncGenerator<Tag> {
    const after = options.after ? { after: `${layout.tags(repository)}${options.after}` as Key } : {};
    for await (const object of this.#storage.list(layout.tags(repository), after)) {
      if (await this.#isTag(object)) yield tagOf(object.key);
    }
  }

  /**
   * Each tag that is meant with its target. One storage request per 1,000 tags, and those of `TagResolver`.
   * @param hints what the tags are likely to name
   */
  async resolveAll(
    repository: RepositoryName,
    { isMeant = () => true, ...hints }: { isMeant?: (tag: Tag) => boolean } & Hints = {},
  ): Promise<ResolvedTag[]> {
    const listed = await Array.fromAsync(this.listObjects(repository));
    const objects = listed.filter(({ key }) => isMeant(tagOf(key)));
    return await this.#targets.resolve(repository, { objects, ...hints });
  }

  /** The objects of a size that tags have; `resolveObjects` tells what they name. One storage request per 1,000. */
  async *listObjects(repository: RepositoryName): AsyncGenerator<ObjectInfo> {
    for await (const object of this.#storage.list(layout.tags(repository))) {
      if (TARGET_SIZES.includes(object.sizeBytes)) yield object;
    }
  }

  /** The storage requests of `TagResolver`. @param objects of `listObjects` */
  async resolveObjects(
    repository: RepositoryName,
    objects: readonly ObjectInfo[],
    hints: Hints = {},
  ): Promise<ResolvedTag[]> {
    return await this.#targets.resolve(repository, { objects, ...hints });
  }

  /** Those that name what their ETags tell, as they are now. One storage request for each that was not read, side by side. */
  async confirm(repository: RepositoryName, resolved: readonly ResolvedTag[]): Promise<ResolvedTag[]> {
    const confirmed = await mapConcurrently(resolved, async (told) => {
      if (told.isRead) return [told];
      const read = await this.find(repository, told.tag);
      return read?.target.digest === told.target.digest ? [read] : [];
    });
    return confirmed.flat();
  }

  /**
   * Those that are others than the ones resolved before. One storage request per 1,000 tags, and one for each tag found.
   */
  async resolveChanged(repository: RepositoryName, before: readonly ResolvedTag[]): Promise<ResolvedTag[]> {
    const known = new Map<string, ETag>(before.map(({ tag, etag }) => [tag, etag]));
    const changed: Tag[] = [];
    for await (const { key, etag, sizeBytes } of this.#storage.list(layout.tags(repository))) {
      if (TARGET_SIZES.includes(sizeBytes) && known.get(tagOf(key)) !== etag) changed.push(tagOf(key));
    }
    const resolved = await mapConcurrently(changed, (tag) => this.find(repository, tag));
    return resolved.filter((tag) => tag !== undefined);
  }

  /** False if the tag is no longer the one that was resolved; then it stays. One storage request. */
  async deleteIfUnchanged(repository: RepositoryName, { tag, etag }: ResolvedTag): Promise<boolean> {
    return await this.#storage.delete(layout.tag(repository, tag), { ifMatch: etag });
  }

  /** docker-registry wrote the metadata of tag `_x` to `tag_x_json`, which looks like a tag `x_json`. */
  async #isTag(object: ObjectInfo): Promise<boolean> {
    if (!TARGET_SIZES.includes(object.sizeBytes)) return false;
    if (!object.key.endsWith('_json')) return true;
    const stored = await this.#storage.read(object.key);
    return stored !== undefined && decodeTarget(decodeText(stored.bytes)) !== undefined;
  }
}

/** A push would change what the tag shows. */
export function immutableTag(repository: RepositoryName, tag: Tag): RegistryError {
  return new RegistryError('DENIED', `${tag} of ${repository} is immutable: it names something else already`, {
    detail: { tag },
  });
}

/** The client asked for a tag that is not there. */
export function unknownTag(tag: Tag): RegistryError {
  return new RegistryError('TAG_UNKNOWN', 'Tag not found', { detail: { tag } });
}
