// Resolves many tags without reading each. A listing gives the ETag of each tag's object, and on S3 that is the MD5 of its
// content. The MD5 of each likely content (digests of the repository's manifests, ids in `_index_images`) is compared with the
// ETags, and only tags that match none are read. An ETag that matches nothing is ignored, so objects whose ETag is no MD5, as
// under SSE-KMS, are resolved correctly too.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { inTurns } from '../../concurrency/turns.ts';
import { digestOfManifestKey, layout, tagOf } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { Digest, ImageId, RepositoryName } from '../../model/names.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import { listUnlessGone } from '../condemned/gone.ts';
import { indexedIds } from './index-images.ts';
import { decodeTarget, encodeTarget, type ResolvedTag } from './target.ts';

/** Up to this number of tags, a read of each costs no more than a further listing. */
const FEW = 2;

/** The longest content of a tag: a SHA-512 digest. */
const MAX_TAG_BYTES = 135;

/** The keys of one listing request. */
const PAGE = 1000;

/** How many contents of tags are remembered where ETags are no MD5: enough for the largest known repository. */
const MAX_REMEMBERED = 32_768;

export class TagResolver {
  readonly #storage: StorageDriver;
  /** Contents by ETag, for storage whose ETags are no MD5: such an ETag is never used for two contents. Created when needed. */
  #texts: LruCache<ETag, string> | undefined;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * Resolves the tags of a listing.
   *
   * Where ETags are no MD5: one storage request for each tag that was not read before, side by side. Else candidates are
   * compared while more than two tags are unresolved: `expected` (no request), the ids in `_index_images` (one), the manifests
   * of the repository (one per 1,000). Each tag left then costs one read.
   * @param objects of `layout.tags(repository)`
   * @param hints saves the requests for what the caller knows already
   * @returns the tags in the order of the objects, without objects that are deleted or are no tags
   */
  async resolve(
    repository: RepositoryName,
    { objects, ...hints }: { objects: readonly ObjectInfo[] } & Hints,
  ): Promise<ResolvedTag[]> {
    const [first, ...others] = objects;
    if (!first) return [];
    // A driver learns from objects that are read whether its ETags are MD5s.
    const start = this.#areETagsMD5 || objects.length <= FEW ? [] : await this.#readTags([first]);
    const matched = await this.#match(repository, { objects: start.length > 0 ? others : objects, ...hints });
    const read = await this.#readTags(matched.left);
    if (start.length === 0 && read.length === 0) return matched.resolved;
    const byName = new Map([...start, ...matched.resolved, ...read].map((resolved) => [resolved.tag, resolved]));
    return objects.flatMap(({ key }) => byName.get(tagOf(key)) ?? []);
  }

  get #areETagsMD5(): boolean {
    return this.#storage.etagOf(new Uint8Array()) !== undefined;
  }

  async #match(
    repository: RepositoryName,
    { objects, ...hints }: { objects: readonly ObjectInfo[] } & Hints,
  ): Promise<{ resolved: ResolvedTag[]; left: readonly ObjectInfo[] }> {
    if (!this.#areETagsMD5) return { resolved: [], left: objects };
    const wanted = new Set(objects.map(({ etag }) => etag));
    const texts = new Map<ETag, string>();
    let left = objects;
    for await (const candidates of candidatesOf(this.#storage, repository, hints)) {
      for await (const group of inTurns(candidates)) {
        for (const text of group) {
          const etag = this.#storage.etagOf(encodeText(text));
          if (etag !== undefined && wanted.has(etag) && !texts.has(etag)) texts.set(etag, text);
        }
      }
      left = left.filter(({ etag }) => !texts.has(etag));
      if (left.length <= FEW) break;
    }
    const resolved: ResolvedTag[] = [];
    for await (const group of inTurns(objects)) {
      for (const object of group) {
        const text = texts.get(object.etag);
        const tag = text === undefined ? undefined : resolvedOf(object, text, { isRead: false });
        if (tag) resolved.push(tag);
      }
    }
    return { resolved, left };
  }

  async #readTags(objects: readonly ObjectInfo[]): Promise<ResolvedTag[]> {
    const resolved = await mapConcurrently(objects, async (object) => {
      const known = this.#texts?.get(object.etag);
      if (known !== undefined) return resolvedOf(object, known, { isRead: true });
      const read = await this.#storage.read(object.key);
      if (!read) return undefined; // deleted since the listing
      const text = decodeText(read.bytes);
      if (!this.#areETagsMD5 && read.bytes.length <= MAX_TAG_BYTES) {
        this.#texts ??= new LruCache({ max: MAX_REMEMBERED });
        this.#texts.set(read.info.etag, text);
      }
      return resolvedOf(read.info, text, { isRead: true });
    });
    return resolved.filter((tag) => tag !== undefined);
  }
}

/** What tags are likely to name. `indexed` and `manifests`, if given, are complete. */
export type Hints = {
  expected?: readonly Digest[];
  indexed?: readonly ImageId[];
  /** Gives the ids in `_index_images` in place of a request. */
  readIndexed?: () => Promise<readonly ImageId[]>;
  manifests?: readonly Digest[];
};

/** The digests of a repository's manifests. One storage request per 1,000. */
export async function listManifests(storage: StorageDriver, repository: RepositoryName): Promise<Digest[]> {
  return await Array.fromAsync(manifestDigests(storage, repository));
}

/** As `listManifests`, for a caller that may stop early. */
export async function* manifestDigests(storage: StorageDriver, repository: RepositoryName): AsyncGenerator<Digest> {
  for await (const { key } of listUnlessGone(storage, layout.manifests(repository))) {
    const digest = digestOfManifestKey(key);
    if (digest) yield digest;
  }
}

/** Likely contents of tags, in groups. Each group costs at most one storage request, made when the group is asked for. */
async function* candidatesOf(
  storage: StorageDriver,
  repository: RepositoryName,
  { expected = [], indexed, readIndexed = () => indexedIds(storage, repository), manifests }: Hints,
): AsyncGenerator<readonly string[]> {
  yield [...expected, ...(manifests ?? [])].map(encodeTarget).concat(indexed ?? []);
  if (!indexed) yield await readIndexed();
  if (manifests) return;
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

/** `undefined` if the object is no tag: docker-registry stored the metadata of a tag `_x` as `tag_x_json`. */
function resolvedOf(object: ObjectInfo, text: string, { isRead }: { isRead: boolean }): ResolvedTag | undefined {
  const target = decodeTarget(text);
  const { key, etag, lastModified } = object;
  return target && { tag: tagOf(key), target, etag, lastModified, isRead };
}
