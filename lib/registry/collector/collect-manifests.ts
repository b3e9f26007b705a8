// Level (a): the manifests of a repository. A manifest that is there, live or condemned, holds its children and its referrers, so
// those are judged after it.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { condemnedBy, encodeCondemnedManifest } from '../condemned/condemned.ts';
import { removeCondemned, replaceListed, reportWaiting, verdictOn } from './condemn.ts';
import { type ListedManifest, readManifest } from './edges.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

/**
 * What becomes of a manifest that no tag, history, index, subject or v1 image keeps. `olderThanMs` counts from its last write.
 */
export type UntaggedManifests = 'keep' | { olderThanMs: number };

export type ManifestsToCollect = {
  repository: RepositoryName;
  manifests: ReadonlyMap<Digest, ListedManifest>;
  /** The subjects of referrers, by the names of their entries. */
  subjects: ReadonlyMap<Digest, readonly Digest[]>;
  /** Why a manifest is kept although nothing else names it; undefined if it is no root. */
  rootReason: (digest: Digest) => string | undefined;
  untagged: UntaggedManifests;
};

/**
 * Condemns, revives and removes the manifests of a repository. Two storage requests for each that changes.
 * @returns the manifests that are there afterwards, live or condemned
 */
export async function collectManifests(run: CollectorRun, toCollect: ManifestsToCollect): Promise<Set<Digest>> {
  const { manifests } = toCollect;
  const isThere = ({ state }: ListedManifest) => state !== 'gone';
  const present = new Set([...manifests].filter(([, manifest]) => isThere(manifest)).map(([digest]) => digest));
  const isComplete = [...manifests.values()].every(({ state }) => state !== 'unreadable');
  const parents = parentsOf(toCollect, present);
  for (const generation of generationsOf(present, parents)) {
    await mapConcurrently(generation, async (digest) => {
      const manifest = manifests.get(digest);
      if (!manifest) return;
      const keep = isComplete
        ? reasonToKeep(run, toCollect, { digest, manifest, present, parents })
        : 'a manifest of the repository cannot be read';
      if ((await collectManifest(run, toCollect, { digest, manifest, keep })) === 'removed') present.delete(digest);
    });
  }
  return present;
}

type Parents = ReadonlyMap<Digest, ReadonlyMap<Digest, string>>;

/** By manifest, what holds it: the indexes that list it and its subjects, each with the reason. */
function parentsOf({ manifests, subjects }: ManifestsToCollect, present: ReadonlySet<Digest>): Parents {
  const parents = new Map<Digest, Map<Digest, string>>();
  const add = (child: Digest, parent: Digest, reason: string) => {
    if (child === parent || !present.has(child) || !present.has(parent)) return;
    const known = parents.get(child) ?? new Map();
    parents.set(child, known.set(parent, reason));
  };
  for (const [digest, { edges }] of manifests) {
    for (const child of edges?.manifests ?? []) add(child, digest, 'an index lists it');
    if (edges?.subject) add(digest, edges.subject, 'its subject is there');
  }
  for (const [digest, named] of subjects) for (const subject of named) add(digest, subject, 'its subject is there');
  return parents;
}

/**
 * Groups manifests so that each comes after all that hold it. Edges by digest form no cycle, but those by the names of referrer
 * entries could: what is left then comes last.
 */
function* generationsOf(present: ReadonlySet<Digest>, parents: Parents): Generator<Digest[]> {
  const left = new Set(present);
  while (left.size > 0) {
    const ready = [...left].filter(
      (digest) => ![...(parents.get(digest)?.keys() ?? [])].some((parent) => left.has(parent)),
    );
    const generation = ready.length > 0 ? ready : [...left];
    for (const digest of generation) left.delete(digest);
    yield generation;
  }
}

function reasonToKeep(
  run: CollectorRun,
  { rootReason, untagged }: ManifestsToCollect,
  {
    digest,
    manifest,
    present,
    parents,
  }: { digest: Digest; manifest: ListedManifest; present: ReadonlySet<Digest>; parents: Parents },
): string | undefined {
  const root = rootReason(digest);
  if (root !== undefined) return root;
  for (const [parent, reason] of parents.get(digest) ?? []) if (present.has(parent)) return reason;
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
  const { info, state, edges } = manifest;
  const { report } = run;
  if (state === 'unreadable') report.problem(`${info.key} is no manifest`);
  const verdict = verdictOn(run, { info, isCondemned: state === 'condemned', keep });
  if (verdict === 'keep') report.kept('manifest', keep ?? 'it was written during this run');
  if (verdict === 'wait') reportWaiting(run, 'manifest');
  if (verdict === 'keep' || verdict === 'wait') return 'left';
  const read = await readManifest(run.storage, repository, digest);
  if (!read || read.info.etag !== info.etag || read.state !== state) return 'left'; // a writer has changed it
  const bytes = edges?.sizeBytes ?? 0;
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
