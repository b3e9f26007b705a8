// Level (a): the history of tags. Entries that are older than the undo window go, and the entry of a move whose writer crashed
// before it wrote one is added.
import { forEachConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout, type TagMove } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import { AS_JSON } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { encodeMoveTarget, type ResolvedTag } from '../tags/target.ts';
import type { ListedManifests } from './listed-manifests.ts';
import type { ListedRecords } from './repository-records.ts';
import type { DividedHistory } from './roots.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

export type HistoryToCollect = {
  repository: RepositoryName;
  history: ListedRecords<'history'>;
  divided: DividedHistory;
};

/**
 * Adds the entries that the writers of tags have not recorded. Up to two storage requests for each.
 * @param options.tags of the listing, resolved
 * @param options.indexOfTag the number of a tag in the listing
 */
export async function addMissingMoves(
  run: CollectorRun,
  { repository, history, divided }: HistoryToCollect,
  {
    tags,
    indexOfTag,
    manifests,
  }: { tags: readonly ResolvedTag[]; indexOfTag: (tag: ResolvedTag['tag']) => number; manifests: ListedManifests },
): Promise<void> {
  await forEachConcurrently(tags, async ({ tag, target, etag, lastModified }) => {
    const index = divided.newestOf(indexOfTag(tag));
    const last = index === undefined ? undefined : history.at(index);
    // Tags of v1 images that never moved have no history: docker-registry wrote them.
    if (last ? last.record.move.target === encodeMoveTarget(target) : !manifests.has(target.digest)) return;
    if (!isSettled(run, lastModified) || (last && !isSettled(run, last.info.lastModified))) return;
    const current = await run.storage.head(layout.tag(repository, tag));
    if (current?.etag !== etag) return;
    await add(run, repository, { tag, atMs: lastModified.getTime(), target: encodeMoveTarget(target) });
  });
}

/** One storage request for each entry that goes, three for each that records the deletion of a tag. */
export async function collectHistory(
  run: CollectorRun,
  { repository, history, divided }: HistoryToCollect,
): Promise<void> {
  await forEachConcurrently(divided.expired, async (index) => {
    const { info } = history.at(index);
    await run.storage.delete(info.key);
    run.report.did('remove', 'history', info.key, { reason: 'older than the undo window' });
  });
  await forEachConcurrently(divided.vanished, async (index) => {
    const { info, record } = history.at(index);
    const { tag } = record.move;
    if (!isSettled(run, info.lastModified) || (await run.storage.head(layout.tag(repository, tag)))) return;
    for await (const { key } of run.storage.list(layout.tagHistory(repository, tag))) {
      if (key !== info.key) return; // recorded since the listing
      break;
    }
    await add(run, repository, { tag, atMs: run.startedAt.getTime(), target: 'deleted' });
  });
}

/** A writer records a move right after it; once a look has expired, it has either done so or crashed. */
function isSettled(run: CollectorRun, lastModified: Date): boolean {
  return isOlderThan(run, lastModified, run.times.lookMs);
}

async function add(run: CollectorRun, repository: RepositoryName, move: TagMove): Promise<void> {
  if (!layout.hasHistory(move.tag)) return;
  const key = layout.historyEntry(repository, move);
  if ((await run.storage.put(key, encodeText('{}'), { ifAbsent: true, ...AS_JSON })) === undefined) return;
  run.report.did('add', 'history', key, { reason: 'its writer has not recorded this move' });
}
