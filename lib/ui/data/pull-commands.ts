import { isV2Name, isV2Tag, type Reference, type RepositoryName } from '../../model/names.ts';
import type { ManifestKind } from '../../registry/manifests/facts.ts';

/**
 * Commands that pull a manifest, the usual one first. None for names of old buckets, which v2 clients cannot pull: such a name
 * may hold what a shell executes.
 * @param host and port of the registry
 */
export function pullCommands(
  host: string,
  repository: RepositoryName,
  reference: Reference,
  kind: ManifestKind,
): string[] {
  if (!isV2Name(repository) || ('tag' in reference && !isV2Tag(reference.tag))) return [];
  const path = `${host}/${repository.replace(/^library\//, '')}`;
  const name = 'tag' in reference ? `${path}:${reference.tag}` : `${path}@${reference.digest}`;
  if (kind === 'chart') {
    const chart = 'tag' in reference ? `${path} --version ${versionOf(reference.tag)}` : name;
    return [`helm pull oci://${chart}`, `oras pull ${name}`];
  }
  // https://docs.docker.com/build/cache/backends/registry/
  if (kind === 'cache')
    return [`docker buildx build --cache-from type=registry,ref=${name} .`, `crane manifest ${name}`];
  if (kind === 'image' || kind === 'index') {
    return [
      `docker pull ${name}`,
      `podman pull ${name}`,
      `skopeo copy docker://${name} oci-archive:image.tar`,
      `crane pull ${name} image.tar`,
    ];
  }
  return [`oras pull ${name}`, `crane manifest ${name}`];
}

/** Tags of charts have `_` where the version has `+`. https://helm.sh/docs/topics/registries/ */
function versionOf(tag: string): string {
  return tag.replaceAll('_', '+');
}
