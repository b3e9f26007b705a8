// What a run of the collector did, and what it kept and why.
import type { Key } from '../../model/layout.ts';

/**
 * `condemn`, `revive`, `remove`: see `Condemned`. `mark`: the mark of bytes. `merge`: a link now names another copy of the same
 * bytes. `add`: a missing entry of a tag's history. `prune`: a list, such as `_index_images`, without what is gone.
 */
export type CollectorAction = 'condemn' | 'revive' | 'remove' | 'mark' | 'merge' | 'add' | 'prune';

export type CollectedKind =
  | 'manifest'
  | 'link'
  | 'referrer'
  | 'history'
  | 'facts'
  | 'pull'
  | 'usage'
  | 'bytes'
  | 'pointer'
  | 'mark'
  | 'unnamed data'
  | 'image'
  | 'grant'
  | 'scrap'
  | 'index images'
  | 'tag metadata'
  | 'collector';

export type Count = { count: number; bytes: number };

/** One action, for the list of a dry run. `reason` says why, in a few words. */
export type ReportedAction = { action: CollectorAction; kind: CollectedKind; key: Key; bytes: number; reason?: string };

/** How many keys and messages it gives as samples. */
const SAMPLES = 20;

/** A report as JSON: in the state object, in answers and for `--json`. */
export type ReportDocument = {
  actions: Partial<Record<CollectorAction, Partial<Record<CollectedKind, Count>>>>;
  /** By kind and reason: `manifest: tagged`. */
  kept: Record<string, number>;
  /** How many objects were listed. */
  listed: number;
  /** Keys that the layout does not have: they are never touched. */
  unknown: { count: number; samples: string[] };
  /** What could not be read or written, and therefore stays as it is. */
  problems: { count: number; samples: string[] };
  /** The actions themselves, where they were asked for. `isComplete` is false if there were more. */
  list?: { isComplete: boolean; actions: ReportedAction[] };
};

export class CollectionReport {
  readonly #document: ReportDocument;
  readonly #maxListed: number;
  readonly #listed: ReportedAction[] = [];
  #hasMore = false;

  /**
   * @param options.maxListed how many actions to list
   * @param options.from the report of an interrupted run, which this one continues
   */
  constructor({ maxListed = 0, from }: { maxListed?: number; from?: ReportDocument } = {}) {
    this.#maxListed = maxListed;
    this.#document = structuredClone(from) ?? {
      actions: {},
      kept: {},
      listed: 0,
      unknown: { count: 0, samples: [] },
      problems: { count: 0, samples: [] },
    };
  }

  /** Something was done, or in a dry run would be. */
  did(
    action: CollectorAction,
    kind: CollectedKind,
    key: Key,
    { bytes = 0, reason }: { bytes?: number; reason?: string } = {},
  ): void {
    const before = this.count(action, kind);
    const counted = { count: before.count + 1, bytes: before.bytes + bytes };
    this.#document.actions[action] = { ...this.#document.actions[action], [kind]: counted };
    if (this.#maxListed === 0) return;
    if (this.#listed.length >= this.#maxListed) this.#hasMore = true;
    else this.#listed.push({ action, kind, key, bytes, ...(reason !== undefined && { reason }) });
  }

  /** Something was looked at and kept. @param reason a few words from a small set, since they are counted */
  kept(kind: CollectedKind, reason: string, count = 1): void {
    if (count === 0) return;
    const name = `${kind}: ${reason}`;
    this.#document.kept[name] = (this.#document.kept[name] ?? 0) + count;
  }

  /** Objects were listed. */
  listed(count = 1): void {
    this.#document.listed += count;
  }

  /** A key that the layout does not parse. */
  unknown(key: Key): void {
    addSample(this.#document.unknown, key);
  }

  /** Something could not be read or written, so it stays. @param message one sentence with the key */
  problem(message: string): void {
    addSample(this.#document.problems, message);
  }

  count(action: CollectorAction, kind: CollectedKind): Count {
    return this.#document.actions[action]?.[kind] ?? { count: 0, bytes: 0 };
  }

  get objectsListed(): number {
    return this.#document.listed;
  }

  /** @param options.withList with the list of actions */
  toJson({ withList = this.#maxListed > 0 } = {}): ReportDocument {
    const list = { isComplete: !this.#hasMore, actions: this.#listed };
    return { ...structuredClone(this.#document), ...(withList && { list: structuredClone(list) }) };
  }
}

function addSample(samples: { count: number; samples: string[] }, text: string): void {
  samples.count++;
  if (samples.samples.length < SAMPLES) samples.samples.push(text);
}
