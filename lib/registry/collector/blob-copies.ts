// Digests with several copies of their bytes: which of the copies are linked. For all other digests the names of links are enough.
// A run finds such digests while it lists the bytes, and the next run reads the links that name them.
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import type { Key } from '../../model/layout.ts';
import type { Digest } from '../../model/names.ts';
import type { ETag } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';

/** A link as the run has read it. Without an ETag it is one that the collector does not change. */
export type ReadLink = { bytesKey: Key; sizeBytes: number; etag?: ETag };

/** How many digests one run looks for. */
const MAX_DIGESTS = 10_000;

/** How many links of them it remembers: 100 MiB at most. A digest with more than its share of them is left alone. */
const MAX_LINKS = 200_000;

const MAX_VALUES = 2_000_000;

export class BlobCopies {
  /** By digest, its links by their keys; undefined where not all of them are known. */
  readonly #links: Map<Digest, Map<Key, ReadLink> | undefined>;
  readonly #next: Set<Digest>;
  #linkCount = 0;
  #changes = 0;

  private constructor(links: Map<Digest, Map<Key, ReadLink> | undefined>, next: Set<Digest>) {
    this.#links = links;
    this.#next = next;
    for (const ofDigest of links.values()) this.#linkCount += ofDigest?.size ?? 0;
  }

  /** @param before those of the last run; undefined for the first run */
  static afterRun(before: BlobCopies | undefined): BlobCopies {
    return new BlobCopies(new Map([...(before ? before.#next : [])].map((digest) => [digest, new Map()])), new Set());
  }

  /** Grows with each change. */
  get count(): number {
    return this.#changes;
  }

  get isEmpty(): boolean {
    return this.#links.size + this.#next.size === 0;
  }

  /** Whether the links that name this digest have to be read. */
  isWanted(digest: Digest): boolean {
    return this.#links.get(digest) !== undefined;
  }

  /** @param link undefined if it could not be read as it was listed: then nothing is known of the digest's copies */
  addLink(digest: Digest, at: Key, link: ReadLink | undefined): void {
    const known = this.#links.get(digest);
    if (!known) return;
    this.#changes++;
    if (!known.has(at)) this.#linkCount++;
    if (link && this.#linkCount <= MAX_LINKS) {
      known.set(at, link);
      return;
    }
    this.#linkCount -= known.size;
    this.#links.set(digest, undefined);
  }

  /** All links that name the digest; undefined if the run does not know them. */
  linksOf(digest: Digest): ReadonlyMap<Key, ReadLink> | undefined {
    return this.#links.get(digest);
  }

  /** The next run reads the links of this digest, unless it has enough to do. Digests come in their order. */
  want(digest: Digest): void {
    if (this.#next.size >= MAX_DIGESTS) return;
    this.#changes++;
    this.#next.add(digest);
  }

  /** The last digest that the next run looks for, if it has enough to do; the run after it goes on from there. */
  get lastWanted(): Digest | undefined {
    return this.#next.size < MAX_DIGESTS ? undefined : [...this.#next].at(-1);
  }

  *encode(): Generator<Uint8Array> {
    const links: JsonObject = {};
    for (const [digest, ofDigest] of this.#links) links[digest] = ofDigest ? Object.fromEntries(ofDigest) : null;
    yield encodeText(JSON.stringify({ links, next: [...this.#next] }));
  }

  /** The inverse of `encode`. @throws Error if the bytes are something else */
  static decode(bytes: Uint8Array): BlobCopies {
    const value = parseJson(bytes, { maxValues: MAX_VALUES });
    const { links, next } = isJsonObject(value) ? value : {};
    if (!isJsonObject(links) || !Array.isArray(next)) throw new Error('the stored copies of the collector are damaged');
    return new BlobCopies(new Map(Object.entries(links).map(decodeLinks)), new Set(next as Digest[]));
  }
}

function decodeLinks([digest, links]: [string, JsonValue]): [Digest, Map<Key, ReadLink> | undefined] {
  const known = isJsonObject(links) ? new Map(Object.entries(links) as [Key, ReadLink][]) : undefined;
  return [digest as Digest, known];
}
