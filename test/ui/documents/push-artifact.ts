import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { V2Client } from '../../v2/client.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** `content`: bytes, a text, or what becomes JSON. */
export type Layer = { mediaType: string; content: unknown; predicateType?: string; annotations?: object };

/** Pushes a manifest with documents as its layers. */
export async function pushArtifact(
  client: V2Client,
  repository: string,
  {
    layers,
    tag,
    ...fields
  }: { layers: Layer[]; tag?: string; artifactType?: string; subject?: object; annotations?: object },
): Promise<{ digest: string; size: number; blobs: string[] }> {
  const pushed = [];
  for (const { mediaType, content, predicateType, annotations: others } of layers) {
    const bytes =
      content instanceof Uint8Array
        ? Buffer.from(content)
        : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
    const { digest } = await client.pushBlob(repository, bytes);
    const annotations = { ...others, ...(predicateType && { 'in-toto.io/predicate-type': predicateType }) };
    pushed.push({ mediaType, digest, size: bytes.length, annotations });
  }
  const { digest: config } = await client.pushBlob(repository, Buffer.from('{}'));
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: config, size: 2 },
    layers: pushed,
    ...fields,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const response = await client.pushManifest(repository, tag ?? digest, manifest);
  assert.equal(response.status, 201);
  return { digest, size: bytes.length, blobs: pushed.map((layer) => layer.digest) };
}
