// Level (b) of the collector: the bytes of all digests. Bytes are marked, and a run that starts the grace period later deletes
// them if nothing names them by then. A mark is never taken back while its bytes exist: a writer that has seen it has stored bytes
// of its own.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { Digest } from '../../model/names.ts';
import { AS_JSON, type ETag, StorageUnavailableError } from '../../storage/driver.ts';
import { type BlobLink, encodeBlobLink } from '../blobs/link.ts';
import { Look } from '../condemned/look.ts';
import type { ReadLink } from './blob-copies.ts';
import { reportWaiting } from './condemn.ts';
import { type Copy, type ListedBlob, listBlobs } from './listed-blobs.ts';
import { type CollectorRun, isOlderThan, isRipe, type Stage } from './stage.ts';

/** How many digests are listed before those with something to do are worked on, side by side. */
const DIGESTS_AT_ONCE = 1000;

/** The note that says after which digest the next run looks for several copies. */
const COPIES_AFTER = 'copiesAfter';

/** Level (b). Adds the uuids that pointers name to `pointers`. */
export class BytesStage implements Stage {
  readonly name = 'bytes';

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    let batch: ListedBlob[] = [];
    const work = async () => {
      await mapConcurrently(batch, (blob) => this.#collect(run, blob));
      const last = batch.at(-1);
      batch = [];
      if (last) await run.checkpoint(last.digest);
    };
    const onUnknown = (key: Key) => run.report.unknown(key);
    for await (const blob of listBlobs(run.storage, { after: cursor as Digest | undefined, onUnknown })) {
      run.report.listed(blob.objectCount);
      for (const { uuid, pointer } of blob.copies) if (pointer) run.filters.pointers.add(uuid);
      batch.push(blob);
      if (batch.length >= DIGESTS_AT_ONCE) await work();
    }
    await work();
    noteWhereToGoOn(run);
  }

  async #collect(run: CollectorRun, { digest, copies, emptyMarks }: ListedBlob): Promise<void> {
    for (const mark of emptyMarks) {
      await run.storage.delete(mark);
      run.report.did('remove', 'mark', mark, { reason: 'its bytes are gone' });
    }
    if (!run.filters.linkedDigests.has(digest)) {
      for (const copy of copies) await this.#collectCopy(run, digest, copy, 'no link names its digest');
      return;
    }
    if (copies.length > 1) wantNext(run, digest);
    const named = copies.length > 1 ? await namedCopies(run, digest, copies) : undefined;
    const unnamed = named ? copies.filter(({ bytesKey }) => !named.has(bytesKey)) : [];
    run.report.kept('bytes', 'a link or a v1 image names its digest', copies.length - unnamed.length);
    for (const copy of unnamed) await this.#collectCopy(run, digest, copy, 'links name another copy');
  }

  /** Marks or deletes bytes that nothing names. At most three storage requests. */
  async #collectCopy(run: CollectorRun, digest: Digest, copy: Copy, reason: string): Promise<void> {
    const { storage, report, times } = run;
    const { uuid, bytesKey, sizeBytes: bytes, lastModified, pointer, markedAt } = copy;
    const mark = layout.blobMark(digest, uuid);
    if (markedAt && !isRipe(run, markedAt)) return reportWaiting(run, 'bytes');
    if (markedAt) {
      // The mark last: without it a writer might use the bytes.
      await storage.delete(bytesKey);
      report.did('remove', 'bytes', bytesKey, { bytes, reason });
      if (pointer) await storage.delete(pointer);
      await storage.delete(mark);
      return;
    }
    // An upload session links its own bytes for a day without a look.
    if (!isOlderThan(run, lastModified, times.minAgeMs))
      return report.kept('bytes', 'young: an upload may be under way');
    if ((await storage.put(mark, new Uint8Array(), { ifAbsent: true })) === undefined) return;
    report.did('mark', 'bytes', bytesKey, { bytes, reason });
  }
}

/**
 * The keys among several copies that links name, after links were moved to the oldest copy without a mark. Two storage
 * requests for the look at that copy, and one for each link that is moved.
 * @returns `undefined` if the run does not know all links of the digest
 */
async function namedCopies(
  run: CollectorRun,
  digest: Digest,
  copies: readonly Copy[],
): Promise<ReadonlySet<Key> | undefined> {
  const links = run.copies.linksOf(digest);
  if (!links) return undefined;
  const named = new Set<Key>();
  const target = mergeTarget(copies, links);
  const keys = new Set(copies.map(({ bytesKey }) => bytesKey));
  const movable = [...links].filter(
    ([, { bytesKey, etag }]) => etag !== undefined && target && bytesKey !== target.bytesKey && keys.has(bytesKey),
  );
  const look = movable.length > 0 && target ? await lookAt(run, digest, target) : undefined;
  for (const [at, { bytesKey, sizeBytes, etag }] of links) {
    const isMovable = etag !== undefined && bytesKey !== target?.bytesKey && keys.has(bytesKey);
    if (isMovable && target && look?.isValid) {
      named.add(target.bytesKey); // also where no answer tells whether the link was moved
      if (await moveLink(run, { at, etag, look }, { sizeBytes, key: target.bytesKey })) {
        run.report.did('merge', 'link', at, { reason: 'its bytes have several copies' });
        // A client may be about to read them: this run does not delete them, even if they were marked long ago.
        if (copies.some((copy) => copy.bytesKey === bytesKey && copy.markedAt)) named.add(bytesKey);
        continue;
      }
    }
    named.add(bytesKey);
  }
  return named;
}

/** Makes a link name another copy. @returns false if a writer has changed the link, or the look has expired: a later run tries again */
async function moveLink(
  { storage }: CollectorRun,
  { at, etag, look }: { at: Key; etag: ETag; look: Look },
  link: BlobLink,
): Promise<boolean> {
  try {
    return (await storage.put(at, encodeBlobLink(link), { ...AS_JSON, ifMatch: etag, look })) !== undefined;
  } catch (error) {
    if (error instanceof StorageUnavailableError) return false;
    throw error;
  }
}

/** The oldest copy without a mark. One that a name which cannot be moved leads to, such as that of a v1 image, comes before all others. */
function mergeTarget(copies: readonly Copy[], links: ReadonlyMap<Key, ReadLink>): Copy | undefined {
  const fixed = new Set([...links.values()].flatMap(({ bytesKey, etag }) => (etag === undefined ? [bytesKey] : [])));
  const rank = ({ bytesKey }: Copy) => (fixed.has(bytesKey) ? 0 : 1);
  return copies
    .filter(({ markedAt }) => !markedAt)
    .toSorted((a, b) => rank(a) - rank(b) || a.lastModified.getTime() - b.lastModified.getTime())[0];
}

/**
 * Looks at a copy as a writer does before it links it: it has no mark and is there. A pointer may lead to bytes that were lost.
 * Two storage requests.
 */
async function lookAt(run: CollectorRun, digest: Digest, { bytesKey, sizeBytes }: Copy): Promise<Look | undefined> {
  const look = new Look(run.times);
  const { storage } = run;
  for await (const { copies } of listBlobs(storage, { within: digest, onUnknown: () => undefined })) {
    const current = copies.find((copy) => copy.bytesKey === bytesKey);
    if (!current || current.markedAt) continue;
    if ((await storage.head(bytesKey))?.sizeBytes === sizeBytes) return look;
  }
  return undefined;
}

/** Chooses the digests with several copies whose links the next run reads: in turn, since a run reads a limited number. */
function wantNext(run: CollectorRun, digest: Digest): void {
  if (digest > (run.notes[COPIES_AFTER] ?? '')) run.copies.want(digest);
}

/** @param run when all digests were listed */
function noteWhereToGoOn(run: CollectorRun): void {
  const { lastWanted } = run.copies;
  if (lastWanted === undefined) delete run.notes[COPIES_AFTER];
  else run.notes[COPIES_AFTER] = lastWanted;
}
