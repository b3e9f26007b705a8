// Level (a): the referrer entries of manifests that are not there, and what is derived of manifests or repositories that are not.
import { forEachConcurrently, mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { condemnedBy, parseCondemned } from '../condemned/condemned.ts';
import { GONE_BYTES } from '../condemned/gone.ts';
import type { PresentManifests } from './collect-manifests.ts';
import { removeCondemned, replaceListed, reportWaiting, verdictOn } from './condemn.ts';
import type { RepositoryRecords } from './repository-records.ts';
import { type CollectorRun, isRipe } from './stage.ts';

/**
 * Condemns and removes the referrer entries whose manifest is not there. Two storage requests for each. A manifest that is
 * pushed again writes its entry again.
 */
export async function collectReferrers(
  run: CollectorRun,
  referrers: RepositoryRecords['referrers'],
  present: PresentManifests,
): Promise<void> {
  await forEachConcurrently(referrers, async ({ record, info }) => {
    if (present.has(record.digest)) run.report.kept('referrer', 'its manifest is there');
    else if (info.sizeBytes !== GONE_BYTES) await collectOrphan(run, info);
  });
}

async function collectOrphan(run: CollectorRun, info: ObjectInfo): Promise<void> {
  const { report, storage } = run;
  const object = await storage.read(info.key);
  if (!object || object.info.etag !== info.etag) return; // a writer has changed it
  const entry = parseJson(object.bytes);
  if (!isJsonObject(entry)) return report.problem(`${info.key} is no entry of a referrer`);
  const verdict = verdictOn(run, { info, isCondemned: parseCondemned(entry.condemned) !== undefined, keep: undefined });
  if (verdict === 'keep') report.kept('referrer', 'it was written during this run');
  if (verdict === 'wait') reportWaiting(run, 'referrer');
  if (verdict === 'condemn') {
    const bytes = encodeText(JSON.stringify({ ...entry, condemned: condemnedBy(run.id) }));
    if (await replaceListed(run, info, bytes, 'application/json')) {
      report.did('condemn', 'referrer', info.key, { reason: 'its manifest is not there' });
    }
  }
  if (verdict === 'remove' && (await removeCondemned(run, info))) {
    report.did('remove', 'referrer', info.key, { reason: 'its manifest is not there' });
  }
}

/**
 * Removes facts and markers of pulls whose manifest is not there. One storage request for each. They are derived, so a manifest
 * that is pushed again gets them again.
 */
export async function collectDerived(
  run: CollectorRun,
  derived: RepositoryRecords['derived'],
  present: PresentManifests,
): Promise<void> {
  await forEachConcurrently(derived, async ({ record, info }) => {
    if (present.has(record.digest) || !isRipe(run, info.lastModified)) return;
    await run.storage.delete(info.key);
    run.report.did('remove', record.kind, info.key, { reason: 'its manifest is not there' });
  });
}

/**
 * Removes what usage runs, and the collector for itself, have found in a repository that has neither tags nor manifests any more. One
 * storage request for each object. The next run finds it again if something is pushed meanwhile.
 */
export async function collectUsage(
  run: CollectorRun,
  repository: RepositoryName,
  usage: readonly ObjectInfo[],
): Promise<void> {
  const left = usage.filter(({ lastModified }) => isRipe(run, lastModified));
  if (left.length === 0) return;
  await mapConcurrently([...left.map(({ key }) => key), layout.manifestEdges(repository)], async (key) => {
    await run.storage.delete(key);
    run.report.did('remove', 'usage', key, { reason: 'the repository has neither tags nor manifests' });
  });
}
