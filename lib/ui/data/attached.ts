import { attachedTag } from '../../model/attached-tag.ts';
import type { ManifestDocument } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { Registry } from '../../registry/registry.ts';

/** A manifest that describes another one without naming it as its subject. `platform`: of the image in an index that it describes. */
export type Attached = { digest: Digest; platform?: string };

/** An index has few platforms, and two attestations of each at most. */
const MAX_ATTESTATIONS = 50;

/**
 * What cosign has attached to a manifest by a tag, and the attestations of BuildKit in an index. Storage requests: those of
 * `Tags.find`, for two tags.
 * @see https://github.com/sigstore/cosign/blob/main/specs/SBOM_SPEC.md
 * @see https://github.com/moby/buildkit/blob/v0.17.0/docs/attestations/attestation-storage.md
 */
export async function attachedTo(
  { tags }: Pick<Registry, 'tags'>,
  repository: RepositoryName,
  { digest, document: { manifests } }: { digest: Digest; document: ManifestDocument },
): Promise<Attached[]> {
  const names = (['att', 'sbom'] as const).flatMap((ending) => attachedTag(digest, ending) ?? []);
  const tagged = await Promise.all(names.map((tag) => tags.find(repository, tag)));
  const platforms = new Map<string, string | undefined>(manifests.map((child) => [child.digest, child.platform]));
  const attestations = manifests.filter(({ isAttestation }) => isAttestation).slice(0, MAX_ATTESTATIONS);
  return [
    ...tagged.flatMap((found) => (found ? [{ digest: found.target.digest }] : [])),
    ...attestations.map(({ digest: attestation, attests = '' }) => {
      const platform = platforms.get(attests);
      return { digest: attestation, ...(platform !== undefined && { platform }) };
    }),
  ];
}
