import { inTurns, sortedInTurns } from '../../concurrency/turns.ts';
import { type AttachedEnding, parseAttachedTag, subjectOfTag } from '../../model/attached-tag.ts';
import { matcherOf } from '../../model/name-pattern.ts';
import type { Digest, Tag } from '../../model/names.ts';
import type { ManifestFacts } from '../../registry/manifests/facts.ts';
import { compareText, naturalKey } from './natural-order.ts';

export const TAG_ORDERS = ['version', 'pushed', 'size'] as const;
export type TagOrder = (typeof TAG_ORDERS)[number];

/** `pushedMs` as `Date.now`: a number takes less memory than a date, and there may be 100,000. */
export type ListedTag = { tag: Tag; digest: Digest; pushedMs: number };

/** The tags of one digest, the highest version first. `moreTags`: how many of them are not in `tags`. */
export type TagRow = { tags: readonly Tag[]; moreTags: number; digest: Digest; pushedAt: Date; facts?: ManifestFacts };

export type Page<T> = { items: T[]; from: number; total: number };

export type AttachedKind = 'signature' | 'attestation' | 'sbom';

const ATTACHED_KINDS: Record<AttachedEnding, AttachedKind> = { sig: 'signature', att: 'attestation', sbom: 'sbom' };

/** Tags of one digest that a row shows. */
export const MAX_SHOWN_TAGS = 20;

/** Rows of a filter that are looked through before other requests get their turn. */
const FILTERED_PER_TURN = 10_000;

/** All tags of a digest, without the cut of a page. */
type Row = { tags: Tag[]; digest: Digest; pushedMs: number; facts: ManifestFacts | undefined };

/** The rows of a repository's tags. Each order is sorted once, in turns with other work, when a page first asks for it. */
export class TagRows {
  readonly #tags: readonly ListedTag[];
  readonly #facts: ReadonlyMap<Digest, ManifestFacts>;
  readonly #sorted = new Map<TagOrder, Promise<readonly Row[]>>();
  readonly #attached = new Map<Digest, AttachedKind[]>();

  constructor(tags: readonly ListedTag[], facts: ReadonlyMap<Digest, ManifestFacts>) {
    this.#tags = tags;
    this.#facts = facts;
    for (const { tag } of tags) {
      if (!tag.startsWith('sha')) continue;
      const { subject, ending } = parseAttachedTag(tag) ?? {};
      if (!subject || !ending) continue;
      this.#attached.set(subject, [...(this.#attached.get(subject) ?? []), ATTACHED_KINDS[ending]]);
    }
  }

  /** The kinds of artifacts that tags attach to a digest. */
  attachedTo(digest: Digest): readonly AttachedKind[] {
    return this.#attached.get(digest) ?? [];
  }

  /**
   * A page of rows. No storage request.
   * @param options.filter a part of the tag, or with `*` a pattern for all of it
   * @param options.from number of rows before the page
   */
  async page(options: { order: TagOrder; filter: string; from: number; size: number }): Promise<Page<TagRow>> {
    const { order, filter, from, size } = options;
    const all = await this.#inOrder(order);
    const isWanted = filter.includes('*') ? matcherOf(filter) : (tag: string) => tag.includes(filter);
    const wanted = filter === '' ? all : await rowsWith(all, isWanted);
    const items = wanted.slice(from, from + size).map((row) => shownRow(row, filter === '' ? undefined : isWanted));
    return { items, from, total: wanted.length };
  }

  #inOrder(order: TagOrder): Promise<readonly Row[]> {
    const sorted = this.#sorted.get(order) ?? this.#sort(order);
    this.#sorted.set(order, sorted);
    return sorted;
  }

  async #sort(order: TagOrder): Promise<readonly Row[]> {
    if (order === 'version') return await this.#byVersion();
    const versions = await this.#inOrder('version');
    if (order === 'pushed') return await sortedInTurns(versions, (a, b) => b.pushedMs - a.pushedMs);
    const sizeOf = ({ facts }: Row) => facts?.totalBytes ?? -1;
    return await sortedInTurns(versions, (a, b) => sizeOf(b) - sizeOf(a));
  }

  /** The highest version first; tags without a number, such as `latest`, at the end. */
  async #byVersion(): Promise<readonly Row[]> {
    const tagged = new Set(this.#tags.map(({ digest }) => digest));
    const keyed: { listed: ListedTag; key: string; isVersion: boolean }[] = [];
    for await (const group of inTurns(this.#tags)) {
      for (const listed of group) {
        if (isAttached(listed.tag, tagged)) continue;
        keyed.push({ listed, key: naturalKey(listed.tag), isVersion: /\d/.test(listed.tag) });
      }
    }
    const sorted = await sortedInTurns(
      keyed,
      (a, b) =>
        Number(b.isVersion) - Number(a.isVersion) ||
        compareText(b.key, a.key) ||
        compareText(b.listed.tag, a.listed.tag),
    );
    const rows = new Map<Digest, Row>();
    for await (const group of inTurns(sorted)) {
      for (const { listed } of group) this.#addTo(rows, listed);
    }
    return [...rows.values()];
  }

  #addTo(rows: Map<Digest, Row>, { tag, digest, pushedMs }: ListedTag): void {
    const row = rows.get(digest);
    if (row) {
      row.tags.push(tag);
      row.pushedMs = Math.max(row.pushedMs, pushedMs);
    } else {
      rows.set(digest, { tags: [tag], digest, pushedMs, facts: this.#facts.get(digest) });
    }
  }
}

async function rowsWith(rows: readonly Row[], isWanted: (tag: Tag) => boolean): Promise<Row[]> {
  const wanted: Row[] = [];
  for await (const group of inTurns(rows, FILTERED_PER_TURN)) {
    for (const row of group) if (row.tags.some(isWanted)) wanted.push(row);
  }
  return wanted;
}

/** Of a digest with many tags those that the filter wants come first, so that the page shows why the row is there. */
function shownRow({ tags, digest, pushedMs, facts }: Row, isWanted: ((tag: Tag) => boolean) | undefined): TagRow {
  const row = { digest, pushedAt: new Date(pushedMs), ...(facts && { facts }) };
  if (tags.length <= MAX_SHOWN_TAGS) return { ...row, tags, moreTags: 0 };
  const first = isWanted ? tags.filter(isWanted) : [];
  const chosen = new Set([...first, ...tags.slice(0, MAX_SHOWN_TAGS)]);
  const shown = [...chosen].slice(0, MAX_SHOWN_TAGS);
  return { ...row, tags: shown, moreTags: tags.length - shown.length };
}

/** Whether the tag attaches an artifact to a digest that has a tag of its own. */
function isAttached(tag: Tag, digests: ReadonlySet<Digest>): boolean {
  const subject = subjectOfTag(tag);
  return subject !== undefined && digests.has(subject);
}

/** Manifests to which no tag leads, newest first as far as their facts tell. @param manifests all of a repository */
export async function unreachedRows(
  manifests: readonly Digest[],
  { facts, reached }: { facts: ReadonlyMap<Digest, ManifestFacts>; reached: ReadonlySet<Digest> },
): Promise<{ digest: Digest; facts: ManifestFacts | undefined }[]> {
  const rows = manifests.flatMap((digest) => (reached.has(digest) ? [] : [{ digest, facts: facts.get(digest) }]));
  const timeOf = (row: { facts: ManifestFacts | undefined }) => row.facts?.createdAt?.getTime() ?? 0;
  return await sortedInTurns(rows, (a, b) => timeOf(b) - timeOf(a) || compareText(a.digest, b.digest));
}
