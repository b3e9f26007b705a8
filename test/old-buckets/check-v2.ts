import assert from 'node:assert/strict';
import { digestOf, imageConfig, manifestLayers } from './as-v2.ts';
import type { OldBucket, OldRepository } from './generator.ts';
import { type Getter, ok, type Served } from './served.ts';

/** The tags that v2 accepts; its grammar excludes `1.0+b`. */
export function v2TagsOf({ tags }: OldRepository): string[] {
  return Object.keys(tags).filter((tag) => /^\w[\w.-]{0,127}$/.test(tag));
}

export async function checkV2Tags(served: Served, repository: OldRepository): Promise<void> {
  const answer = await served.get(`/v2/${repository.name}/tags/list`);
  assert.equal(answer.status, 200, answer.text);
  const { name, tags } = answer.json() as { name: string; tags: string[] };
  assert.equal(name, repository.name);
  assert.deepEqual(tags, v2TagsOf(repository).toSorted());
}

/** Checks the manifest of a tag, by tag and by digest, and every blob of it. */
export async function checkV2Tag(
  served: Served,
  bucket: OldBucket,
  repository: OldRepository,
  tag: string,
): Promise<void> {
  const id = repository.tags[tag] ?? assert.fail(tag);
  const path = `/v2/${repository.name}`;
  const byTag = await ok(served, `${path}/manifests/${tag}`);
  const digest = digestOf(byTag.bytes);
  const byDigest = await ok(served, `${path}/manifests/${digest}`);
  assert.ok(byDigest.bytes.equals(byTag.bytes));
  const heads = [await served.head(`${path}/manifests/${tag}`), await served.head(`${path}/manifests/${digest}`)];
  for (const answer of [byTag, byDigest, ...heads]) {
    assert.equal(answer.status, 200);
    assert.equal(answer.header('Docker-Content-Digest'), digest);
    assert.equal(answer.header('Content-Length'), String(byTag.bytes.length));
    assert.equal(answer.header('Content-Type'), 'application/vnd.docker.distribution.manifest.v2+json');
  }

  const manifest = byTag.json() as { config: { digest: string; size: number }; layers: object[] };
  const layers = manifestLayers(bucket, id);
  const config = { mediaType: 'application/vnd.docker.container.image.v1+json', ...manifest.config };
  const mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
  assert.deepEqual(manifest, { schemaVersion: 2, mediaType, config, layers });

  const contents = await Promise.all([config, ...layers].map((blob) => checkBlob(served, repository, blob)));
  assert.deepEqual(JSON.parse(contents[0]?.toString() ?? ''), imageConfig(bucket, id));
}

async function checkBlob(
  served: Served,
  { name }: OldRepository,
  { digest, size }: { digest: string; size: number },
): Promise<Buffer> {
  const path = `/v2/${name}/blobs/${digest}`;
  const blob = await ok(served, path);
  assert.equal(digestOf(blob.bytes), digest);
  const head = await served.head(path);
  for (const answer of [blob, head]) {
    assert.equal(answer.status, 200);
    assert.equal(answer.header('Content-Length'), String(size));
    assert.equal(answer.header('Docker-Content-Digest'), digest);
  }
  return blob.bytes;
}

/** The digest of each manifest by `<repository>:<tag>`. */
export async function digestsOf(served: Getter, references: readonly string[]): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const reference of references) {
    const answer = await ok(served, `/v2/${reference.replace(':', '/manifests/')}`);
    digests[reference] = digestOf(answer.bytes);
  }
  return Object.fromEntries(Object.entries(digests).sort());
}
