import type { ManifestKind } from '../../registry/manifests/facts.ts';

/**
 * Commands that pull a manifest, the usual one first.
 * @param host and port of the registry
 * @param reference `team/api:1.0` or `team/api@sha256:…`
 */
export function pullCommands(host: string, reference: string, kind: ManifestKind): [string, ...string[]] {
  const name = `${host}/${reference.replace(/^library\//, '')}`;
  if (kind === 'chart') return [`helm pull oci://${withoutTag(name)}${versionOf(name)}`, `oras pull ${name}`];
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

const TAG = /:([^:/@]+)$/;

function withoutTag(name: string): string {
  return name.includes('@') ? name : name.replace(TAG, '');
}

/** Tags of charts have `_` where the version has `+`. https://helm.sh/docs/topics/registries/ */
function versionOf(name: string): string {
  const tag = name.includes('@') ? undefined : TAG.exec(name)?.[1];
  return tag === undefined ? '' : ` --version ${tag.replaceAll('_', '+')}`;
}
