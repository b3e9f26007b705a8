import { createHash } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { type Key, layout, parseRepositoryRecord } from '../../model/layout.ts';
import { type Digest, isImageId } from '../../model/names.ts';
import { digestFolders } from '../inventory/digest-folders.ts';
import { readLink } from '../inventory/link-targets.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import type { Check } from './check.ts';
import type { Repair } from './findings.ts';
import { condemnBytes, hashObject, relinkOrRemove } from './repairs.ts';

export type BytesOptions = {
  /** The part of all objects that is hashed, 0 to 1, chosen by their keys: two runs hash the same. */
  sample?: number;
  /** Starts after the key that `onPosition` was called with last. */
  after?: string;
  /** Called with a key up to which everything is hashed, after each digest. */
  onPosition?: (key: string) => void | Promise<void>;
  /** Called for each object that was hashed. */
  onHashed?: () => void;
  /** Called with the size of each chunk that was read. */
  onBytes?: (sizeBytes: number) => void;
};

/** Objects that are hashed at once. */
const AT_ONCE = 4;

/** `isCorrupt`: an earlier run has marked it as corrupt. */
type Hashed = { key: Key; digest: Digest; isCorrupt?: boolean; repair?: Repair };

type CorruptBytes = Map<Digest, Set<Key>>;

/** Hashes bytes of blobs, and of the layers that v1 clients pushed. */
export async function checkBytes(
  check: Check,
  { sample = 1, after = '', onPosition, onBytes = () => {}, onHashed = () => {} }: BytesOptions,
): Promise<void> {
  const corrupt: CorruptBytes = new Map();
  let batch: Hashed[] = [];
  const hashBatch = async () => {
    await mapConcurrently(batch, (hashed) => checkObject(check, hashed, corrupt, { onBytes, onHashed }), AT_ONCE);
    const last = batch.at(-1);
    if (last && positionOf(last) > after) await onPosition?.(positionOf(last));
    batch = [];
  };
  for await (const hashed of allBytes(check)) {
    // A run that was interrupted may have left links to bytes that it has marked as corrupt.
    if (!hashed.isCorrupt && (positionOf(hashed) <= after || !isInSample(hashed.key, sample))) continue;
    batch.push(hashed);
    if (batch.length >= 4 * AT_ONCE) await hashBatch();
  }
  await hashBatch();
  if (corrupt.size > 0) await checkLinksToCorrupt(check, corrupt);
}

/** Reports, and repairs, the links that name corrupt bytes. One storage request per 1,000 objects of all repositories. */
async function checkLinksToCorrupt({ storage, findings }: Check, corrupt: CorruptBytes): Promise<void> {
  for await (const { key } of storage.list(layout.ociRepositories())) {
    const record = parseRepositoryRecord(key);
    const keys = record?.kind === 'link' ? corrupt.get(record.digest) : undefined;
    if (!keys || record?.kind !== 'link') continue;
    const { repository, digest } = record;
    const link = await readLink(storage, repository, digest);
    if (!link?.target || !keys.has(link.target.key)) continue;
    const repair = relinkOrRemove(storage, { repository, digest, etag: link.etag });
    await findings.add('link-to-corrupt-bytes', key, `it names ${link.target.key}`, repair);
  }
}

/** Layers of images after all blobs, by one order of texts. */
function positionOf({ key, digest }: Hashed): string {
  return key.startsWith('images/') ? `2 ${key}` : `1 ${digest} ${key}`;
}

function isInSample(key: Key, sample: number): boolean {
  return createHash('sha256').update(key).digest().readUInt32BE() < sample * 2 ** 32;
}

async function* allBytes(check: Check): AsyncGenerator<Hashed> {
  const { storage } = check;
  for await (const folder of digestFolders(storage, async () => {})) {
    const { digest, plain } = folder;
    const repairs = folder.bytes.map(({ key, uuid, isCorrupt }) => ({
      ...{ key, digest, isCorrupt },
      repair: condemnBytes(storage, digest, uuid),
    }));
    yield* [...(plain ? [{ key: plain.key, digest }] : []), ...repairs.toSorted((a, b) => (a.key < b.key ? -1 : 1))];
  }
  for await (const folder of storage.listFolders(layout.allImages())) {
    const id = folder.slice(layout.allImages().length, -1);
    if (!isImageId(id)) continue;
    const layer = await readLayerDescriptor(storage, id);
    const key = layout.imageLayer(id);
    if (layer?.key !== key || (await storage.head(key))?.etag !== layer.etag) continue;
    yield { key, digest: layer.digest };
  }
}

async function checkObject(
  { storage, findings }: Check,
  { key, digest, isCorrupt, repair }: Hashed,
  corrupt: CorruptBytes,
  { onBytes, onHashed }: Required<Pick<BytesOptions, 'onBytes' | 'onHashed'>>,
): Promise<void> {
  const hashed = await hashObject(storage, key, digest, onBytes);
  if (!hashed) return;
  onHashed();
  if (hashed.digest === digest) return;
  corrupt.set(digest, (corrupt.get(digest) ?? new Set()).add(key));
  if (isCorrupt) return; // garbage, unless a link names it
  await findings.add('corrupt-bytes', key, `its ${hashed.sizeBytes} bytes have the digest ${hashed.digest}`, repair);
}
