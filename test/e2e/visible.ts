import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

interface Descriptor {
  digest: string;
  size: number;
}

interface Manifest {
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
}

/** Everything a registry shows: by `repository:tag`, the digest of its manifest. */
export type Visible = Record<string, string>;

/**
 * Reads all that a registry shows, down to the last byte of the last layer.
 * @throws AssertionError if anything it shows is incomplete or not what its digest says
 */
export async function visibleIn(registry: string): Promise<Visible> {
  const seen = new Set<string>();
  const visible: Visible = {};
  const { repositories } = (await json(`${registry}/v2/_catalog?n=1000`)) as { repositories: string[] };
  for (const repository of repositories) {
    const { tags } = (await json(`${registry}/v2/${repository}/tags/list`)) as { tags: string[] | null };
    for (const tag of tags ?? []) {
      visible[`${repository}:${tag}`] = await readManifest(`${registry}/v2/${repository}`, tag, seen);
    }
  }
  return visible;
}

async function readManifest(repository: string, reference: string, seen: Set<string>): Promise<string> {
  const url = `${repository}/manifests/${reference}`;
  const response = await fetch(url, { headers: { Accept: MANIFEST_TYPES } });
  assert.equal(response.status, 200, `GET ${url}`);
  const bytes = await response.bytes();
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  assert.equal(response.headers.get('Docker-Content-Digest'), digest, url);
  if (reference.startsWith('sha256:')) assert.equal(digest, reference, url);

  const { config, layers = [], manifests = [] } = JSON.parse(Buffer.from(bytes).toString()) as Manifest;
  for (const child of manifests) await readManifest(repository, child.digest, seen);
  for (const blob of config === undefined ? layers : [config, ...layers]) {
    const blobUrl = `${repository}/blobs/${blob.digest}`;
    if (!seen.has(blobUrl)) await readBlob(blobUrl, blob);
    seen.add(blobUrl);
  }
  return digest;
}

async function readBlob(url: string, { digest, size }: Descriptor): Promise<void> {
  const response = await fetch(url);
  assert.equal(response.status, 200, `GET ${url}, which a manifest names`);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  assert.deepEqual({ digest: `sha256:${hash.digest('hex')}`, size: sizeBytes }, { digest, size }, `GET ${url}`);
}

async function json(url: string): Promise<unknown> {
  const response = await fetch(url);
  assert.equal(response.status, 200, `GET ${url}`);
  return response.json();
}
