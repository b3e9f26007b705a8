import { RegistryError } from '../../model/errors.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { ManifestFacts, ManifestKind } from '../../registry/manifests/facts.ts';
import type { Registry } from '../../registry/registry.ts';
import type { RepositoryListing } from './repository-listings.ts';
import type { TagRow } from './tag-rows.ts';

/** What a row shows beyond the listings. `marks`: which kinds of artifacts describe the image. */
export type RowDetails = { pushedBy?: string; marks: Set<ManifestKind>; facts?: ManifestFacts };

export type DetailsRegistry = Pick<Registry, 'history' | 'referrers' | 'manifests' | 'facts'>;

/**
 * At most four storage requests: two for the last move of the tag, one for the list of referrers, and for an index one for the
 * attestations in it. For a manifest without facts those of `FactsStore.find`.
 */
export async function detailsOf(
  registry: DetailsRegistry,
  repository: RepositoryName,
  { row, listing }: { row: TagRow; listing: RepositoryListing },
): Promise<RowDetails> {
  const [tag] = row.tags;
  const [moves, referrers, facts] = await Promise.all([
    tag === undefined ? undefined : registry.history.list(repository, tag, { size: 1 }),
    registry.referrers.digests(repository, row.digest),
    row.facts ?? registry.facts.find(repository, row.digest),
  ]);
  const kinds = referrers.digests.flatMap((digest) => listing.facts.get(digest)?.kind ?? []);
  const inIndex = facts?.kind === 'index' ? await attestationsIn(registry, repository, row.digest) : [];
  const by = moves?.moves[0]?.by;
  return {
    marks: new Set<ManifestKind>([...kinds, ...inIndex, ...listing.rows.attachedTo(row.digest)]),
    ...(by !== undefined && { pushedBy: by }),
    ...(facts && { facts }),
  };
}

/** BuildKit puts attestations into the index of an image. */
async function attestationsIn(
  { manifests }: DetailsRegistry,
  repository: RepositoryName,
  digest: Digest,
): Promise<ManifestKind[]> {
  try {
    const { bytes } = await manifests.get(repository, { digest });
    return parseManifest(bytes).manifests.some(({ isAttestation }) => isAttestation) ? ['attestation'] : [];
  } catch (error) {
    if (error instanceof RegistryError) return []; // deleted since it was listed
    throw error;
  }
}
