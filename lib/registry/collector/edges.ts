// What the manifests of a repository name. A manifest never changes, so what the collector has read of it is kept in one object
// per repository, and a later run reads only new manifests. Which manifests exist always comes from the listing of the run.
import { forEachConcurrently } from '../../concurrency/map-concurrently.ts';
import { digestOf } from '../../model/content-digest.ts';
import { layout } from '../../model/layout.ts';
import { parseManifest } from '../../model/manifest.ts';
import { algorithmOf, type Digest, type RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import { condemnedManifestSize, decodeStoredManifest } from '../condemned/condemned.ts';
import { isGone } from '../condemned/gone.ts';
import type { ListedDigests } from '../inventory/listed-objects.ts';
import { mayBeConversion } from '../v1-to-v2/convert-image.ts';
import { decodeKeptEdges, storeKeptEdges } from './kept-edges.ts';
import { type ListedManifest, ListedManifests, type ManifestEdges, type ManifestState } from './listed-manifests.ts';

/**
 * The manifests of a repository with what they name. One storage request, one for each manifest that was not read before, and one
 * to store what was read; several to store more than the size of a part.
 * @param listed the manifests of the listing; brought up to date with what is read
 * @param options.onRead called after each manifest that was read
 * @param options.mayRead whether one more manifest may be read; those that are not are left out
 */
export async function readEdges(
  storage: StorageDriver,
  repository: RepositoryName,
  listed: ListedDigests,
  { onRead, mayRead = () => true }: { onRead?: () => Promise<void>; mayRead?: () => boolean } = {},
): Promise<ListedManifests> {
  const manifests = new ListedManifests(listed);
  if (listed.size === 0) return manifests;
  let { isOutdated } = await takeKept(storage, repository, listed, manifests);
  let isChanged = false;
  await forEachConcurrently(unknownOf(manifests), async (index) => {
    const hasKept = manifests.hasEdges(index);
    const isRead = mayRead();
    const read = isRead ? await readManifest(storage, repository, listed.digestAt(index)) : undefined;
    if (isRead) await onRead?.();
    if (!read) {
      isOutdated ||= hasKept; // left out, or deleted since it was listed
      return;
    }
    isChanged ||= read.state === 'gone' || !hasKept;
    manifests.set(index, read);
  });
  if (isChanged || isOutdated) await storeKeptEdges(storage, layout.manifestEdges(repository), manifests);
  return manifests;
}

/** Those of which the kept object tells nothing, or not enough. */
function* unknownOf(manifests: ListedManifests): Generator<number> {
  for (let index = 0; index < manifests.listedCount; index++) {
    if (manifests.stateAt(index) === undefined) yield index;
  }
}

/** @returns whether the kept object names manifests that are not listed, or another gone form */
async function takeKept(
  storage: StorageDriver,
  repository: RepositoryName,
  listed: ListedDigests,
  manifests: ListedManifests,
): Promise<{ isOutdated: boolean }> {
  let isOutdated = false;
  for await (const kept of decodeKeptEdges(await storage.get(layout.manifestEdges(repository)))) {
    const index = listed.indexOf(kept.digest);
    if (index < 0) {
      isOutdated = true;
      continue;
    }
    const info = listed.infoAt(index);
    if ('gone' in kept) {
      if (kept.gone === info.etag) manifests.setState(index, 'gone');
      else isOutdated = true;
      continue;
    }
    manifests.setEdges(index, kept.edges);
    const state = stateOf(info, kept.edges);
    if (state) manifests.setState(index, state);
  }
  return { isOutdated };
}

/** What the size of a listed manifest tells, where the manifest was read before. */
function stateOf({ sizeBytes }: ObjectInfo, edges: ManifestEdges): ManifestState | undefined {
  if (sizeBytes === edges.sizeBytes) return 'live';
  return sizeBytes === condemnedManifestSize(edges.sizeBytes) ? 'condemned' : undefined;
}

/** A manifest as it is stored now, with its bytes. One storage request. `undefined` if it does not exist. */
export async function readManifest(
  storage: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
): Promise<(ListedManifest & { bytes: Bytes }) | undefined> {
  const object = await storage.read(layout.manifest(repository, digest));
  if (!object) return undefined;
  const { info } = object;
  if (isGone(object.bytes)) return { info, state: 'gone', bytes: object.bytes };
  const { bytes, condemned } = decodeStoredManifest(object.bytes, digest);
  // Of damaged bytes the edges would be those of another manifest.
  const edges = digestOf(bytes, algorithmOf(digest)) === digest ? edgesOf(bytes) : undefined;
  if (!edges) return { info, state: 'unreadable', bytes };
  return { info, state: condemned ? 'condemned' : 'live', edges, bytes };
}

/** `undefined` if the bytes are no manifest. */
function edgesOf(bytes: Bytes): ManifestEdges | undefined {
  try {
    const { blobs, manifests, subject } = parseManifest(bytes);
    return {
      sizeBytes: bytes.length,
      blobs: [...new Set(blobs.map(({ digest }) => digest))],
      manifests: [...new Set(manifests.map(({ digest }) => digest))],
      ...(subject && { subject: subject.digest }),
      ...(mayBeConversion(bytes) && { isConversion: true }),
    };
  } catch {
    return undefined;
  }
}
