// What many tags name, told from listings: on S3 the ETag of a tag is the MD5 of its digits. It is compared with those of
// the digits that a tag of the repository may hold, and only a tag that matches none of them is read. Nothing is concluded
// from an ETag that matches nothing, so a bucket in which some objects have other ETags is read correctly as well.
import { LRUCache } from 'lru-cache';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { digestOfManifestKey, layout, tagOf } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName } from '../../model/names.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import { indexedIds } from './index-images.ts';
import { decodeTarget, encodeTarget, type ResolvedTag } from './target.ts';

/** So many tags are read without another listing to compare them with. */
const FEW = 2;

/** The longest text of a tag: a digest by SHA-512. */
const MAX_TAG_BYTES = 135;

/** As many as a listing gives with one request. */
const PAGE = 1000;

/** So many texts of tags are remembered where ETags do not tell them: those of a repository as large as any that is known. */
const MAX_REMEMBERED = 32_768;

export class TagResolver {
  readonly #storage: StorageDriver;
  /** By ETag, where that is no MD5 and so names one content for certain. Made when it is needed. */
  #texts: LRUCache<ETag, string> | undefined;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * Resolves the tags of a listing. Where ETags tell nothing one storage request for each that was not read before, side by
   * side. Else none for those that name one of `expected`, one for the list of images where more than two are left, one for
   * each 1,000 manifests of the repository while more than two are left, and one for each that is left then.
   * @param objects of `layout.tags(repository)`
   * @param hints what is known already is not asked for
   * @returns without objects that are gone, or are no tags; `isRead` tells those that were read from those told by their ETag
   */
  async resolve(
    repository: RepositoryName,
    { objects, ...hints }: { objects: readonly ObjectInfo[] } & Hints,
  ): Promise<ResolvedTag[]> {
    const [first, ...others] = objects;
    if (!first) return [];
    if (objects.length <= FEW) return await this.#readTags(objects);
    // What ETags tell is learned from what is read.
    const start = this.#isToldByETag ? [] : await this.#readTags([first]);
    const matched = await this.#match(repository, { objects: start.length > 0 ? others : objects, ...hints });
    const read = await this.#readTags(matched.left);
    const byName = new Map([...start, ...matched.resolved, ...read].map((resolved) => [resolved.tag, resolved]));
    return objects.flatMap(({ key }) => byName.get(tagOf(key)) ?? []);
  }

  get #isToldByETag(): boolean {
    return this.#storage.etagOf(new Uint8Array()) !== undefined;
  }

  async #match(
    repository: RepositoryName,
    { objects, ...hints }: { objects: readonly ObjectInfo[] } & Hints,
  ): Promise<{ resolved: ResolvedTag[]; left: readonly ObjectInfo[] }> {
    if (!this.#isToldByETag) return { resolved: [], left: objects };
    const texts = new Map<ETag, string>();
    let left = objects;
    for await (const candidates of candidatesOf(this.#storage, repository, hints)) {
      for (const text of candidates) {
        const etag = this.#storage.etagOf(encodeText(text));
        if (etag !== undefined && !texts.has(etag)) texts.set(etag, text);
      }
      left = left.filter(({ etag }) => !texts.has(etag));
      if (left.length <= FEW) break;
    }
    const resolved = objects.flatMap((object) => {
      const text = texts.get(object.etag);
      return text === undefined ? [] : (resolvedOf(object, text, { isRead: false }) ?? []);
    });
    return { resolved, left };
  }

  async #readTags(objects: readonly ObjectInfo[]): Promise<ResolvedTag[]> {
    const resolved = await mapConcurrently(objects, async (object) => {
      const known = this.#texts?.get(object.etag);
      if (known !== undefined) return resolvedOf(object, known, { isRead: true });
      const read = await this.#storage.read(object.key);
      if (!read) return undefined; // a tag that went away meanwhile is none
      const text = decodeText(read.bytes);
      if (!this.#isToldByETag && read.bytes.length <= MAX_TAG_BYTES) {
        this.#texts ??= new LRUCache({ max: MAX_REMEMBERED });
        this.#texts.set(read.info.etag, text);
      }
      return resolvedOf(read.info, text, { isRead: true });
    });
    return resolved.filter((tag) => tag !== undefined);
  }
}

/** What tags are likely to name; `indexed` and `manifests` whole, if they are given. */
export type Hints = {
  expected?: readonly Digest[];
  indexed?: readonly ImageId[];
  manifests?: readonly Digest[];
};

/** The manifests of a repository. One storage request per 1,000. */
export async function listManifests(storage: StorageDriver, repository: RepositoryName): Promise<Digest[]> {
  const digests: Digest[] = [];
  for await (const { key } of storage.list(layout.manifests(repository))) {
    const digest = digestOfManifestKey(key);
    if (digest) digests.push(digest);
  }
  return digests;
}

/** In groups, each of which costs one storage request. */
async function* candidatesOf(
  storage: StorageDriver,
  repository: RepositoryName,
  { expected = [], indexed, manifests }: Hints,
): AsyncGenerator<readonly string[]> {
  yield expected.map(encodeTarget);
  yield indexed ?? (await indexedIds(storage, repository));
  if (manifests) return yield manifests.map(encodeTarget);
  let page: string[] = [];
  for await (const { key } of storage.list(layout.manifests(repository))) {
    const digest = digestOfManifestKey(key);
    if (digest) page.push(encodeTarget(digest));
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  yield page;
}

/** `undefined` if that is no tag: docker-registry wrote the metadata of tag `_x` to `tag_x_json`. */
function resolvedOf(object: ObjectInfo, text: string, { isRead }: { isRead: boolean }): ResolvedTag | undefined {
  const target = decodeTarget(text);
  const { key, etag, lastModified } = object;
  return target && { tag: tagOf(key), target, etag, lastModified, isRead };
}
