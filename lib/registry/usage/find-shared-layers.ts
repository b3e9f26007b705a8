// Which tags of a repository share a layer, by what the collector keeps of its manifests.
import { setImmediate } from 'node:timers/promises';
import { digestOfManifestKey, layout } from '../../model/layout.ts';
import { type Digest, isDigest, type Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { readEdges } from '../collector/edges.ts';
import type { ListedManifests } from '../collector/listed-manifests.ts';
import { ListedDigests } from '../inventory/listed-objects.ts';
import type { Tags } from '../tags/tags.ts';
import type { RepositoryUsage } from './ledger.ts';
import type { SharedLayers } from './shared-layers.ts';

/** Of larger repositories it is not known. The manifests of one take up to 20 MB, as the collector keeps them. */
export const MAX_MANIFESTS = 20_000;
const MAX_TAGS = 100_000;

/** Layers of a repository that are stored, those of most tags first, and tags that are named for each. */
export const MAX_LAYERS = 2000;
const MAX_NAMED = 6;

/** Manifests and blobs that are looked at, over all tags of a repository: a few indexes may lead from each tag to very many. */
const MAX_STEPS = 4_000_000;

/** Steps after which other work of the process gets its turn: a few milliseconds. */
const STEPS_PER_TURN = 20_000;

/** `isWhole`: no manifest was left unread. */
export type FoundLayers = { shared: SharedLayers; isWhole: boolean };

/**
 * One storage request per 1,000 manifests and tags, those of `readEdges`, and those of `Tags.resolveAll`.
 * @param usage of the repository, as it was just counted; none of these requests for one that is too large
 * @param options.mayRead whether one more manifest may be read that no run has read before
 * @param options.maxSteps manifests and blobs that are looked at, from the newest tag on; further ones are left out
 * @param options.onObject called for each manifest that is listed or read
 * @returns `undefined` if the repository is too large
 */
export async function findSharedLayers(
  { storage, tags }: { storage: StorageDriver; tags: Tags },
  usage: Pick<RepositoryUsage, 'repository' | 'manifests' | 'tags'>,
  {
    at,
    mayRead,
    maxSteps = MAX_STEPS,
    onObject,
  }: { at: string; mayRead: () => boolean; maxSteps?: number; onObject?: () => void },
): Promise<FoundLayers | undefined> {
  const { repository } = usage;
  if (usage.manifests > MAX_MANIFESTS || usage.tags > MAX_TAGS) return undefined;
  const listed = new ListedDigests((digest) => layout.manifest(repository, digest));
  for await (const object of storage.list(layout.manifests(repository))) {
    onObject?.();
    const digest = digestOfManifestKey(object.key);
    if (digest && isDigest(digest)) listed.add(digest, object);
    if (listed.size > MAX_MANIFESTS) return undefined;
  }
  const manifests = await readEdges(storage, repository, listed, { mayRead, onRead: async () => onObject?.() });
  const resolved = await tags.resolveAll(repository, { manifests: [...listed.digests()] });
  const newestFirst = resolved.toSorted((a, b) => b.lastModified.getTime() - a.lastModified.getTime());
  const targets = new Map<Digest, Tag>();
  for (const { tag, target } of newestFirst) if (!targets.has(target.digest)) targets.set(target.digest, tag);
  return {
    shared: { at, ...(await sharedBy(targets, { manifests, maxSteps })) },
    isWhole: manifests.size === listed.size,
  };
}

type Use = { count: number; in: number[] };

async function sharedBy(
  targets: ReadonlyMap<Digest, Tag>,
  { manifests, maxSteps }: { manifests: ListedManifests; maxSteps: number },
): Promise<Omit<SharedLayers, 'at'>> {
  const uses = new Map<Digest, Use>();
  const names = [...targets].map(([digest, tag]) => ({ tag, digest }));
  let [steps, turnAt] = [0, STEPS_PER_TURN];
  for (const [index, { digest }] of names.entries()) {
    for (const blob of blobsOf(digest)) {
      const use = uses.get(blob) ?? { count: 0, in: [] };
      use.count++;
      if (use.in.length < MAX_NAMED) use.in.push(index);
      uses.set(blob, use);
    }
    if (steps < turnAt) continue;
    turnAt = steps + STEPS_PER_TURN;
    await setImmediate();
  }
  const shared = [...uses].filter(([, { count }]) => count > 1);
  const most = shared.sort(([, a], [, b]) => b.count - a.count).slice(0, MAX_LAYERS);
  return numbered(names, most);

  /** Each manifest once. */
  function blobsOf(top: Digest): Set<Digest> {
    const [blobs, seen] = [new Set<Digest>(), new Set([top])];
    for (const digest of seen) {
      const edges = manifests.get(digest)?.edges;
      steps += 1 + (edges?.blobs.length ?? 0);
      if (steps > maxSteps) break;
      for (const blob of edges?.blobs ?? []) blobs.add(blob);
      for (const child of edges?.manifests ?? []) seen.add(child);
    }
    return blobs;
  }
}

/** Keeps only the targets that a layer names. */
function numbered(names: readonly { tag: Tag; digest: Digest }[], layers: readonly [Digest, Use][]) {
  const used = [...new Set(layers.flatMap(([, use]) => use.in))].sort((a, b) => a - b);
  const positions = new Map(used.map((index, position) => [index, position]));
  return {
    targets: used.flatMap((index) => names[index] ?? []),
    layers: Object.fromEntries(
      layers.map(([digest, { count, in: indexes }]) => [
        digest,
        { count, in: indexes.flatMap((index) => positions.get(index) ?? []) },
      ]),
    ),
  };
}
