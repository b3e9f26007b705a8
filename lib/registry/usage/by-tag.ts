import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import { MAX_INDEX_DEPTH, type ManifestDocument, parseManifest } from '../../model/manifest.ts';
import type { Digest, ImageId, RepositoryName, Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { decodeStoredManifest } from '../condemned/condemned.ts';
import { isGone } from '../condemned/gone.ts';
import { readLink } from '../inventory/link-targets.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import { decodeAncestry } from '../v1-images/images.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import { describedLayer } from '../v1-images/projection-record.ts';

/** Of the bytes that a tag leads to, `uniqueBytes` are those to which no other tag of the repository does. */
export type TagUsage = { tag: Tag; totalBytes: number; uniqueBytes: number };

/** What the deletion of tags frees. `keepers`: tags that keep some of their bytes, those that keep most first. */
export type DeletionUsage = { totalBytes: number; freedBytes: number; keepers: { tag: Tag; bytes: number }[] };

/** The blobs to which a tag leads, with their sizes; for a v1 image its layers, by their digest, or by the image id if it is not known. */
type TagBlobs = { tag: Tag; blobs: ReadonlyMap<string, number> };

/**
 * What each tag of a repository takes up: the blobs of its manifest, of its children, or the layers of its v1 image. Reads each
 * manifest once; in memory are the blobs of all of them.
 */
export async function usageByTag(storage: StorageDriver, tags: Tags, repository: RepositoryName): Promise<TagUsage[]> {
  const { found: bytes } = await blobsByTag(storage, tags, repository);
  const uses = new Map<string, number>();
  for (const { blobs } of bytes) for (const name of blobs.keys()) uses.set(name, (uses.get(name) ?? 0) + 1);
  return bytes.map(({ tag, blobs }) => ({
    tag,
    totalBytes: sum(blobs.values()),
    uniqueBytes: sum([...blobs].flatMap(([name, sizeBytes]) => (uses.get(name) === 1 ? [sizeBytes] : []))),
  }));
}

/** Blobs of all tags together: they take some 50 MB. */
const MAX_BLOBS = 500_000;

/**
 * What is freed when these tags of a repository are deleted, as far as this repository alone decides. As `usageByTag`.
 * @returns `undefined` if its tags lead to more than `maxBlobs` blobs, as a few indexes with many children can make them
 */
export async function usageOfDeletion(
  storage: StorageDriver,
  tags: Tags,
  repository: RepositoryName,
  { chosen, maxBlobs = MAX_BLOBS }: { chosen: ReadonlySet<Tag>; maxBlobs?: number },
): Promise<DeletionUsage | undefined> {
  const { found: bytes, isWhole } = await blobsByTag(storage, tags, repository, maxBlobs);
  if (!isWhole) return undefined;
  const deleted = new Map(bytes.flatMap(({ tag, blobs }) => (chosen.has(tag) ? [...blobs] : [])));
  const others = bytes.filter(({ tag }) => !chosen.has(tag));
  const kept = new Set(others.flatMap(({ blobs }) => [...blobs.keys()]));
  const keepers = others.map(({ tag, blobs }) => ({
    tag,
    bytes: sum([...blobs].flatMap(([name, sizeBytes]) => (deleted.has(name) ? [sizeBytes] : []))),
  }));
  return {
    totalBytes: sum(deleted.values()),
    freedBytes: sum([...deleted].flatMap(([name, sizeBytes]) => (kept.has(name) ? [] : [sizeBytes]))),
    keepers: keepers.filter(({ bytes: own }) => own > 0).sort((a, b) => b.bytes - a.bytes),
  };
}

/** `isWhole`: false if there are more than `maxBlobs`, and some are left out. */
async function blobsByTag(
  storage: StorageDriver,
  tags: Tags,
  repository: RepositoryName,
  maxBlobs = Number.POSITIVE_INFINITY,
): Promise<{ found: TagBlobs[]; isWhole: boolean }> {
  let blobCount = 0;
  const known = new Map<Digest, Promise<ReadonlyMap<string, number> | undefined>>();
  // Each manifest once: a few indexes that list each other many times lead to one image by millions of ways.
  const blobsOf = (digest: Digest, depth = 0): Promise<ReadonlyMap<string, number> | undefined> => {
    const blobs = known.get(digest) ?? readBlobs(digest, depth);
    known.set(digest, blobs);
    return blobs;
  };
  const readBlobs = async (digest: Digest, depth: number): Promise<ReadonlyMap<string, number> | undefined> => {
    const isLeftOut = depth > MAX_INDEX_DEPTH || blobCount > maxBlobs;
    const document = isLeftOut ? undefined : await readManifest(storage, repository, digest);
    if (!document) return undefined;
    const blobs = new Map<string, number>(document.blobs.map((blob) => [blob.digest, blob.sizeBytes]));
    blobCount += blobs.size;
    for (const child of new Set(document.manifests.map((each) => each.digest))) {
      const ofChild = (await blobsOf(child, depth + 1)) ?? new Map<string, number>();
      blobCount += ofChild.size;
      if (blobCount > maxBlobs) break;
      for (const [name, sizeBytes] of ofChild) blobs.set(name, sizeBytes);
    }
    return blobs;
  };
  const found = await mapConcurrently(await tags.resolveAll(repository), async ({ tag, target }: ResolvedTag) => ({
    tag,
    blobs:
      (await blobsOf(target.digest)) ??
      (target.imageId ? await layersOf(storage, repository, target.imageId) : new Map()),
  }));
  return { found, isWhole: blobCount <= maxBlobs };
}

async function readManifest(
  storage: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
): Promise<ManifestDocument | undefined> {
  const object = await storage.read(layout.manifest(repository, digest));
  return object && !isGone(object.bytes) ? parseManifest(decodeStoredManifest(object.bytes, digest).bytes) : undefined;
}

async function layersOf(
  storage: StorageDriver,
  repository: RepositoryName,
  top: ImageId,
): Promise<Map<string, number>> {
  const object = await storage.read(layout.imageAncestry(top));
  const ids = (object && decodeAncestry(object.bytes)) ?? [];
  return new Map(await mapConcurrently(ids, (id) => layerOf(storage, repository, id)));
}

/** Two storage requests, and for a layer without a descriptor two more. */
async function layerOf(storage: StorageDriver, repository: RepositoryName, id: ImageId): Promise<[string, number]> {
  const [layer, descriptor] = await Promise.all([
    storage.head(layout.imageLayer(id)),
    readLayerDescriptor(storage, id),
  ]);
  if (descriptor) return [descriptor.digest, descriptor.sizeBytes];
  for await (const { key } of storage.list(layout.imageProjections(id))) {
    const digest = describedLayer(key);
    const link = digest && (await readLink(storage, repository, digest));
    if (digest && link?.target) return [digest, link.target.sizeBytes];
  }
  return [id, layer?.sizeBytes ?? 0];
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
