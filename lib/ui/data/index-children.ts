import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { isChildless } from '../../registry/manifests/facts.ts';
import type { Registry } from '../../registry/registry.ts';
import { MiB } from '../../streams/bytes.ts';
import type { RepositoryListing } from './repository-listings.ts';

/** What one page reads of indexes. */
export const MAX_READ = 200;
export const MAX_READ_BYTES = 8 * MiB;
const READ_AT_ONCE = 16;

const MAX_KEPT_BYTES = 8 * MiB;
const BYTES_OF_DIGEST = 120;

/** Manifests to which tags lead. `unreadCount`: indexes that were not read, whose children are therefore missing. */
export type Reached = { digests: ReadonlySet<Digest>; unreadCount: number };

/** The children of indexes. They never change, so what a page has read serves the next ones. */
export class IndexChildren {
  readonly #manifests: Pick<Registry['manifests'], 'get'>;
  readonly #kept = new LruCache<Digest, readonly Digest[]>({
    maxBytes: MAX_KEPT_BYTES,
    bytesOf: (children) => (children.length + 2) * BYTES_OF_DIGEST,
  });

  constructor({ manifests }: { manifests: Pick<Registry['manifests'], 'get'> }) {
    this.#manifests = manifests;
  }

  /**
   * The manifests that tags name, and the children of indexes among them. One storage request for each index that was not read
   * before, of at most 200 indexes or 8 MiB; the next page reads on.
   */
  async reachedByTags(repository: RepositoryName, { tags, facts }: RepositoryListing): Promise<Reached> {
    const digests = new Set(tags.map(({ digest }) => digest));
    let [readCount, readBytes, unreadCount] = [0, 0, 0];
    const isFull = () => readCount >= MAX_READ || readBytes >= MAX_READ_BYTES;
    const waiting = [...digests];
    const mayHaveChildren = (digest: Digest) => {
      const known = facts.get(digest);
      return known !== undefined && !isChildless(known.kind);
    };
    while (waiting.length > 0) {
      const unread: Digest[] = [];
      for (const digest of waiting.splice(0)) {
        if (!mayHaveChildren(digest)) continue;
        const children = this.#kept.get(digest);
        if (children) add(children);
        else unread.push(digest);
      }
      while (unread.length > 0 && !isFull()) {
        const group = unread.splice(0, Math.min(READ_AT_ONCE, MAX_READ - readCount));
        readCount += group.length;
        const read = await mapConcurrently(group, (digest) => this.#read(repository, digest));
        for (const { children, sizeBytes } of read) {
          readBytes += sizeBytes;
          add(children);
        }
      }
      unreadCount += unread.length;
    }
    return { digests, unreadCount };

    function add(children: readonly Digest[]): void {
      for (const child of children) {
        if (digests.has(child)) continue;
        digests.add(child);
        waiting.push(child);
      }
    }
  }

  async #read(repository: RepositoryName, digest: Digest): Promise<{ children: readonly Digest[]; sizeBytes: number }> {
    try {
      const { bytes } = await this.#manifests.get(repository, { digest });
      const children = parseManifest(bytes).manifests.map((child) => child.digest);
      this.#kept.set(digest, children);
      return { children, sizeBytes: bytes.length };
    } catch (error) {
      if (error instanceof RegistryError) return { children: [], sizeBytes: 0 }; // deleted since it was listed
      throw error;
    }
  }
}
