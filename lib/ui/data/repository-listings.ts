import { inTurns } from '../../concurrency/turns.ts';
import { LruCache } from '../../model/lru-cache.ts';
import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { ManifestFacts } from '../../registry/manifests/facts.ts';
import type { Registry } from '../../registry/registry.ts';
import { MiB } from '../../streams/bytes.ts';
import { type ListedTag, TagRows } from './tag-rows.ts';

/** What two listings tell about a repository. `facts` lacks manifests whose facts are not recorded yet. */
export type RepositoryListing = {
  tags: readonly ListedTag[];
  facts: ReadonlyMap<Digest, ManifestFacts>;
  rows: TagRows;
};

/** People look at one page after the other; what they see is at most this old. */
export const FRESH_MS = 10_000;
export const MAX_BYTES = 64 * MiB;
/** In memory, as measured: a tag with its row in three orders, and facts, both without their texts. */
const BYTES_OF_TAG = 260;
const BYTES_OF_FACTS = 340;
const BYTES_OF_TEXT = 32;

/** The tags and facts of repositories, kept for ten seconds in at most 64 MiB. Rights are decided before, for each request. */
export class RepositoryListings {
  readonly #registry: Pick<Registry, 'tags' | 'facts' | 'peers'>;
  readonly #kept = new LruCache<RepositoryName, RepositoryListing>({
    ttlMs: FRESH_MS,
    maxBytes: MAX_BYTES,
    bytesOf: ({ tags, facts }) => 1000 + bytesOfTags(tags) + bytesOfFacts(facts),
  });

  constructor(registry: Pick<Registry, 'tags' | 'facts' | 'peers'>) {
    this.#registry = registry;
    registry.peers.hear('listing outdated', ({ repository }) => this.#kept.delete(repository as RepositoryName));
  }

  /** One storage request per 1,000 tags, one per 1,000 manifests, and those of `Tags.resolveObjects`; none while it is kept. */
  async of(repository: RepositoryName): Promise<RepositoryListing> {
    return await this.#kept.fetch(repository, () => this.#read(repository));
  }

  /** Something of the repository has changed here: the next page shows it. */
  forget(repository: RepositoryName): void {
    this.#kept.delete(repository);
    this.#registry.peers.tell('listing outdated', { repository });
  }

  async #read(repository: RepositoryName): Promise<RepositoryListing> {
    const { tags, facts } = this.#registry;
    const [objects, known] = await Promise.all([Array.fromAsync(tags.listObjects(repository)), facts.all(repository)]);
    const resolved = await tags.resolveObjects(repository, objects, { expected: [...known.keys()] });
    const digests = new Map([...known.keys()].map((digest) => [digest, digest]));
    const listed: ListedTag[] = [];
    for await (const group of inTurns(resolved)) {
      for (const { tag, target, lastModified } of group) {
        listed.push({
          tag: copied(tag),
          digest: digests.get(target.digest) ?? target.digest,
          pushedMs: lastModified.getTime(),
        });
      }
    }
    return { tags: listed, facts: known, rows: new TagRows(listed, known) };
  }
}

/** A part of a text keeps all of it in memory: here the answer of storage that lists 1,000 tags. */
function copied(tag: Tag): Tag {
  return Buffer.from(tag).toString() as Tag;
}

function bytesOfTags(tags: readonly ListedTag[]): number {
  return tags.reduce((sum, { tag }) => sum + BYTES_OF_TAG + tag.length, 0);
}

/** `FactsStore.all` gives equal lists of platforms as one. */
function bytesOfFacts(facts: RepositoryListing['facts']): number {
  let bytes = 0;
  const counted = new Set<readonly string[]>();
  for (const { platforms, artifactType = '' } of facts.values()) {
    bytes += BYTES_OF_FACTS + 2 * artifactType.length;
    if (counted.has(platforms)) continue;
    counted.add(platforms);
    bytes += platforms.reduce((sum, { length }) => sum + 2 * length + BYTES_OF_TEXT, 0);
  }
  return bytes;
}
