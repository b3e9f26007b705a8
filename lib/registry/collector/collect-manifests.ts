// Level (a): the manifests of a repository. A manifest that is there, live or condemned, holds its children and its referrers, so
// those are judged after it.
import { forEachConcurrently } from '../../concurrency/map-concurrently.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { condemnedBy, encodeCondemnedManifest } from '../condemned/condemned.ts';
import { removeCondemned, replaceListed, reportWaiting, verdictOn } from './condemn.ts';
import { readManifest } from './edges.ts';
import type { ListedManifest, ListedManifests } from './listed-manifests.ts';
import type { RepositoryRecords } from './repository-records.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

/**
 * What becomes of a manifest that no tag, history, index, subject or v1 image keeps. `olderThanMs` counts from its last write.
 */
export type UntaggedManifests = 'keep' | { olderThanMs: number };

export type ManifestsToCollect = {
  repository: RepositoryName;
  manifests: ListedManifests;
  referrers: RepositoryRecords['referrers'];
  /** Why a manifest is kept although nothing else names it; undefined if it is no root. By its number. */
  rootReason: (index: number) => string | undefined;
  untagged: UntaggedManifests;
};

/** The manifests that are there after the run has collected those of a repository, live or condemned. */
export type PresentManifests = { has(digest: Digest): boolean; indexes(): Iterable<number>; size: number };

/** Condemns, revives and removes the manifests of a repository. Two storage requests for each that changes. */
export async function collectManifests(run: CollectorRun, toCollect: ManifestsToCollect): Promise<PresentManifests> {
  const { manifests } = toCollect;
  const present = new Presence(manifests);
  const isComplete = [...manifests.indexes((index) => manifests.stateAt(index) === 'unreadable')].length === 0;
  const parents = parentsOf(toCollect, present);
  const generationOf = numberGenerations(present, parents);
  for (let generation = 1; generation <= generationOf.last; generation++) {
    const members = manifests.indexes((index) => generationOf.numbers[index] === generation);
    await forEachConcurrently(members, async (index) => {
      const manifest = manifests.at(index);
      if (!manifest) return;
      const keep = isComplete
        ? reasonToKeep(run, toCollect, { index, manifest, present, parents })
        : 'a manifest of the repository cannot be read';
      const digest = manifests.digestAt(index);
      if ((await collectManifest(run, toCollect, { digest, manifest, keep })) === 'removed') present.delete(index);
    });
  }
  return present;
}

class Presence implements PresentManifests {
  readonly #manifests: ListedManifests;
  readonly #isThere: Uint8Array;
  size = 0;

  constructor(manifests: ListedManifests) {
    this.#manifests = manifests;
    this.#isThere = new Uint8Array(manifests.listedCount);
    for (const index of manifests.indexes()) {
      if (manifests.stateAt(index) === 'gone') continue;
      this.#isThere[index] = 1;
      this.size++;
    }
  }

  /** Of the manifests that were listed. */
  get listedCount(): number {
    return this.#isThere.length;
  }

  has(digest: Digest): boolean {
    return this.hasIndex(this.#manifests.indexOf(digest));
  }

  hasIndex(index: number): boolean {
    return this.#isThere[index] === 1;
  }

  delete(index: number): void {
    this.#isThere[index] = 0;
    this.size--;
  }

  indexes(): Iterable<number> {
    return this.#manifests.indexes((index) => this.hasIndex(index));
  }
}

type Reason = 'an index lists it' | 'its subject is there';

/** What holds manifests: the indexes that list them and their subjects, each with the reason. All are numbers of manifests. */
class Parents {
  /** For each edge its parent, the next edge of the same child, and the reason. */
  #edges = new Int32Array(0);
  #count = 0;
  readonly #firstEdge: Int32Array;
  readonly #lastEdge: Int32Array;

  constructor(manifests: number) {
    this.#firstEdge = new Int32Array(manifests).fill(-1);
    this.#lastEdge = new Int32Array(manifests).fill(-1);
  }

  add(child: number, parent: number, reason: Reason): void {
    if (3 * this.#count === this.#edges.length) {
      const edges = new Int32Array(Math.max(2 * this.#edges.length, 3 * 64));
      edges.set(this.#edges);
      this.#edges = edges;
    }
    const edge = this.#count++;
    this.#edges.set([parent, -1, reason === 'an index lists it' ? 0 : 1], 3 * edge);
    const before = this.#lastEdge[child] ?? -1;
    if (before < 0) this.#firstEdge[child] = edge;
    else this.#edges[3 * before + 1] = edge;
    this.#lastEdge[child] = edge;
  }

  /** Why a manifest is held by the first of its parents for which this is true; undefined if there is none. */
  reasonOf(child: number, isHolding: (parent: number) => boolean): Reason | undefined {
    for (let edge = this.#firstEdge[child] ?? -1; edge >= 0; edge = this.#edges[3 * edge + 1] ?? -1) {
      if (!isHolding(this.#edges[3 * edge] ?? -1)) continue;
      return this.#edges[3 * edge + 2] === 0 ? 'an index lists it' : 'its subject is there';
    }
    return undefined;
  }
}

function parentsOf({ manifests, referrers }: ManifestsToCollect, present: Presence): Parents {
  const parents = new Parents(manifests.listedCount);
  const add = (child: number, parent: number, reason: Reason) => {
    if (child === parent || !present.hasIndex(child) || !present.hasIndex(parent)) return;
    parents.add(child, parent, reason);
  };
  for (const index of manifests.indexes()) {
    const edges = manifests.edgesAt(index);
    for (const child of edges?.manifests ?? []) add(manifests.indexOf(child), index, 'an index lists it');
    if (edges?.subject) add(index, manifests.indexOf(edges.subject), 'its subject is there');
  }
  for (const { record } of referrers) {
    add(manifests.indexOf(record.digest), manifests.indexOf(record.subject), 'its subject is there');
  }
  return parents;
}

/**
 * Groups manifests so that each comes after all that hold it. Edges by digest form no cycle, but those by the names of referrer
 * entries could: what is left then comes last.
 * @returns for each manifest the number of its generation, from 1 on
 */
function numberGenerations(present: Presence, parents: Parents): { numbers: Int32Array; last: number } {
  const numbers = new Int32Array(present.listedCount);
  let last = 0;
  for (let left = present.size; left > 0; ) {
    last++;
    const isLeft = (index: number) => numbers[index] === 0 || numbers[index] === last;
    let count = 0;
    for (const index of present.indexes()) {
      if (numbers[index] !== 0 || parents.reasonOf(index, isLeft) !== undefined) continue;
      numbers[index] = last;
      count++;
    }
    if (count === 0) {
      for (const index of present.indexes()) if (numbers[index] === 0) numbers[index] = last;
      break;
    }
    left -= count;
  }
  return { numbers, last };
}

function reasonToKeep(
  run: CollectorRun,
  { rootReason, untagged }: ManifestsToCollect,
  {
    index,
    manifest,
    present,
    parents,
  }: { index: number; manifest: ListedManifest; present: Presence; parents: Parents },
): string | undefined {
  const root = rootReason(index);
  if (root !== undefined) return root;
  const holding = parents.reasonOf(index, (parent) => present.hasIndex(parent));
  if (holding !== undefined) return holding;
  if (untagged === 'keep') return 'manifests without a tag are kept';
  // The last write of a condemned manifest is its condemnation: it was old enough before that.
  const isYoung = manifest.state === 'live' && !isOlderThan(run, manifest.info.lastModified, untagged.olderThanMs);
  return isYoung ? 'it has no tag and is younger than the rule says' : undefined;
}

async function collectManifest(
  run: CollectorRun,
  { repository }: ManifestsToCollect,
  { digest, manifest, keep }: { digest: Digest; manifest: ListedManifest; keep: string | undefined },
): Promise<'removed' | 'left'> {
  const { info, state } = manifest;
  const { report } = run;
  if (state === 'unreadable') report.problem(`${info.key} is no manifest`);
  const verdict = verdictOn(run, { info, isCondemned: state === 'condemned', keep });
  if (verdict === 'keep') report.kept('manifest', keep ?? 'it was written during this run');
  if (verdict === 'wait') reportWaiting(run, 'manifest');
  if (verdict === 'keep' || verdict === 'wait') return 'left';
  const read = await readManifest(run.storage, repository, digest);
  if (!read || read.info.etag !== info.etag || read.state !== state) return 'left'; // a writer has changed it
  const bytes = manifest.edges?.sizeBytes ?? 0;
  if (verdict === 'condemn') {
    const condemned = encodeCondemnedManifest(read.bytes, condemnedBy(run.id));
    if (await replaceListed(run, info, condemned, 'application/json')) {
      report.did('condemn', 'manifest', info.key, { bytes, reason: 'nothing names it' });
    }
  }
  if (verdict === 'revive' && (await replaceListed(run, info, read.bytes, parseManifest(read.bytes).mediaType))) {
    report.did('revive', 'manifest', info.key, { bytes, ...(keep !== undefined && { reason: keep }) });
  }
  if (verdict !== 'remove' || !(await removeCondemned(run, info))) return 'left';
  report.did('remove', 'manifest', info.key, { bytes, reason: 'still nothing names it after the grace period' });
  return 'removed';
}
