// What the manifests of a repository name. A manifest never changes, so what the collector has read of it is kept in one object
// per repository, and a later run reads only new manifests. Which manifests exist always comes from the listing of the run.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { digestOf } from '../../model/content-digest.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { parseManifest } from '../../model/manifest.ts';
import { algorithmOf, type Digest, type RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ETag, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import { condemnedManifestSize, decodeStoredManifest } from '../condemned/condemned.ts';
import { isGone } from '../condemned/gone.ts';
import { mayBeConversion } from '../v1-to-v2/convert-image.ts';

/** What a manifest names. */
export type ManifestEdges = {
  /** The size of the manifest, which is that of its object only while it is live. */
  sizeBytes: number;
  /** Config and layers, without those that a registry need not hold. */
  blobs: Digest[];
  /** The children of an index that are manifests. */
  manifests: Digest[];
  subject?: Digest;
  /** Whether it may be the conversion of a v1 image. */
  isConversion?: true;
};

/** `unreadable`: its edges are unknown, so that nothing in its repository may be condemned. */
export type ManifestState = 'live' | 'condemned' | 'gone' | 'unreadable';

export type ListedManifest = { info: ObjectInfo; state: ManifestState; edges?: ManifestEdges };

/** Deeper values of a repository with a million manifests. */
const MAX_VALUES = 50_000_000;

/** Raised when the form of the object changes: then all manifests are read again. */
const VERSION = 1;

type Kept = { edges: Map<Digest, ManifestEdges>; gone: Map<Digest, ETag> };

/**
 * The manifests of a repository with what they name. One storage request, one for each manifest that was not read before, and one
 * to store what was read.
 * @param listed the manifests of the listing
 * @param options.onRead called after each manifest that was read
 * @param options.mayRead whether one more manifest may be read; those that are not are left out
 */
export async function readEdges(
  storage: StorageDriver,
  repository: RepositoryName,
  listed: ReadonlyMap<Digest, ObjectInfo>,
  { onRead, mayRead = () => true }: { onRead?: () => Promise<void>; mayRead?: () => boolean } = {},
): Promise<Map<Digest, ListedManifest>> {
  if (listed.size === 0) return new Map();
  const object = await storage.read(layout.manifestEdges(repository));
  const kept = decode(object?.bytes);
  const found = new Map<Digest, ListedManifest>();
  let isChanged = false;
  await mapConcurrently([...listed], async ([digest, info]) => {
    const state = knownState(digest, info, kept);
    const edges = kept.edges.get(digest);
    if (state) {
      found.set(digest, { info, state, ...(edges && state !== 'gone' && { edges }) });
      return;
    }
    if (!mayRead()) return;
    const read = await readManifest(storage, repository, digest);
    await onRead?.();
    if (!read) return; // deleted since it was listed
    isChanged ||= read.state === 'gone' || edges === undefined;
    found.set(digest, read);
  });
  const isOutdated = [...kept.edges.keys(), ...kept.gone.keys()].some((digest) => !found.has(digest));
  if (isChanged || isOutdated) await storage.put(layout.manifestEdges(repository), encode(found), AS_JSON);
  return found;
}

/** What the listing tells of a manifest that was read before. */
function knownState(digest: Digest, { etag, sizeBytes }: ObjectInfo, kept: Kept): ManifestState | undefined {
  if (kept.gone.get(digest) === etag) return 'gone';
  const edges = kept.edges.get(digest);
  if (!edges) return undefined;
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

function encode(manifests: ReadonlyMap<Digest, ListedManifest>): Uint8Array {
  const edges: JsonObject = {};
  const gone: JsonObject = {};
  for (const [digest, { state, info, edges: known }] of manifests) {
    if (state === 'gone') gone[digest] = info.etag;
    if (known) edges[digest] = known;
  }
  return encodeText(JSON.stringify({ version: VERSION, edges, gone }));
}

/** Anything that is not what `encode` writes counts as nothing: then the manifests are read again. */
function decode(bytes: Bytes | undefined): Kept {
  const value = bytes && parseJson(bytes, { maxValues: MAX_VALUES });
  if (!isJsonObject(value) || value.version !== VERSION) return { edges: new Map(), gone: new Map() };
  const { edges, gone } = value;
  return {
    edges: new Map(
      isJsonObject(edges) ? Object.entries(edges).flatMap(([digest, item]) => decodeEdges(digest, item)) : [],
    ),
    gone: new Map(isJsonObject(gone) ? (Object.entries(gone) as [Digest, ETag][]) : []),
  };
}

function decodeEdges(digest: string, value: JsonValue): [Digest, ManifestEdges][] {
  if (!isJsonObject(value) || typeof value.sizeBytes !== 'number') return [];
  const { sizeBytes, blobs, manifests, subject, isConversion } = value;
  if (!Array.isArray(blobs) || !Array.isArray(manifests)) return [];
  const edges: ManifestEdges = {
    ...{ sizeBytes, blobs: blobs as Digest[], manifests: manifests as Digest[] },
    ...(typeof subject === 'string' && { subject: subject as Digest }),
    ...(isConversion === true && { isConversion }),
  };
  return [[digest as Digest, edges]];
}
