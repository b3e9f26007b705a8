// Level (a): the history of tags. Entries that are older than the undo window go, and the entry of a move whose writer crashed
// before it wrote one is added.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout, type TagMove, tagOf } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type ObjectInfo } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { encodeMoveTarget, type ResolvedTag } from '../tags/target.ts';
import { byTag, type HistoryEntry } from './roots.ts';
import { type CollectorRun, isOlderThan } from './stage.ts';

export type HistoryToCollect = {
  repository: RepositoryName;
  history: readonly HistoryEntry[];
  expired: readonly HistoryEntry[];
  /** The tags of the listing, resolved. */
  tags: readonly ResolvedTag[];
  tagObjects: readonly ObjectInfo[];
  manifests: ReadonlyMap<Digest, unknown>;
};

/** One storage request for each entry that goes, three for each that is added. */
export async function collectHistory(run: CollectorRun, toCollect: HistoryToCollect): Promise<void> {
  const { repository, history, expired, tags, tagObjects, manifests } = toCollect;
  await mapConcurrently(expired, async ({ info }) => {
    await run.storage.delete(info.key);
    run.report.did('remove', 'history', info.key, { reason: 'older than the undo window' });
  });
  const newest = new Map([...byTag(history)].map(([tag, entries]) => [tag, newestOf(entries)]));
  await mapConcurrently(tags, async ({ tag, target, etag, lastModified }) => {
    const last = newest.get(tag);
    // Tags of v1 images that never moved have no history: docker-registry wrote them.
    if (last ? last.move.target === encodeMoveTarget(target) : !manifests.has(target.digest)) return;
    if (!isSettled(run, lastModified) || (last && !isSettled(run, last.info.lastModified))) return;
    const current = await run.storage.head(layout.tag(repository, tag));
    if (current?.etag !== etag) return;
    await add(run, repository, { tag, atMs: lastModified.getTime(), target: encodeMoveTarget(target) });
  });
  const there = new Set(tagObjects.map(({ key }) => tagOf(key)));
  const vanished = [...newest].filter(([tag, { move }]) => !there.has(tag) && move.target !== 'deleted');
  await mapConcurrently(vanished, async ([tag, { info }]) => {
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

function newestOf(entries: readonly HistoryEntry[]): HistoryEntry {
  return entries.reduce((newest, entry) => (entry.move.atMs > newest.move.atMs ? entry : newest));
}

async function add(run: CollectorRun, repository: RepositoryName, move: TagMove): Promise<void> {
  if (!layout.hasHistory(move.tag)) return;
  const key = layout.historyEntry(repository, move);
  if ((await run.storage.put(key, encodeText('{}'), { ifAbsent: true, ...AS_JSON })) === undefined) return;
  run.report.did('add', 'history', key, { reason: 'its writer has not recorded this move' });
}
