// Level (a): the links of a repository. A link is kept while a manifest that is there, live or condemned, names its digest.
import { forEachConcurrently } from '../../concurrency/map-concurrently.ts';
import type { Digest } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import {
  type BlobLink,
  CONDEMNED_LINK_BYTES,
  decodeBlobLink,
  encodeBlobLink,
  encodeCondemnedLink,
} from '../blobs/link.ts';
import { condemnedBy } from '../condemned/condemned.ts';
import { GONE_BYTES, isGone } from '../condemned/gone.ts';
import type { ListedDigests } from '../inventory/listed-objects.ts';
import { removeCondemned, replaceListed, reportWaiting, verdictOn } from './condemn.ts';
import type { CollectorRun } from './stage.ts';

/**
 * Condemns, revives and removes the links of a repository. Two storage requests for each link that is condemned or revived, one
 * for each that is removed.
 * @param keepReason why the link with this number is kept, if anything names its digest
 * @param onLeft called for each digest whose link is there afterwards, and whether it is condemned then
 */
export async function collectLinks(
  run: CollectorRun,
  links: ListedDigests,
  {
    keepReason,
    onLeft,
  }: {
    keepReason: (index: number) => string | undefined;
    onLeft: (digest: Digest, link: { isCondemned: boolean }) => Promise<void>;
  },
): Promise<void> {
  await forEachConcurrently(links.indexes(), async (index) => {
    const info = links.infoAt(index);
    if (info.sizeBytes === GONE_BYTES) return;
    const state = await collectLink(run, info, keepReason(index));
    if (state !== 'removed') await onLeft(links.digestAt(index), { isCondemned: state === 'condemned' });
  });
}

/** @returns what becomes of it, unless a writer changes it meanwhile */
async function collectLink(
  run: CollectorRun,
  info: ObjectInfo,
  keep: string | undefined,
): Promise<'removed' | 'condemned' | 'live'> {
  const { report } = run;
  const isCondemned = info.sizeBytes >= CONDEMNED_LINK_BYTES;
  const verdict = verdictOn(run, { info, isCondemned, keep });
  switch (verdict) {
    case 'keep':
      report.kept('link', keep ?? 'it was written during this run');
      return 'live';
    case 'wait':
      reportWaiting(run, 'link');
      return 'condemned';
    case 'remove':
      if (!(await removeCondemned(run, info))) return 'live';
      report.did('remove', 'link', info.key, { reason: 'still no manifest names it after the grace period' });
      return 'removed';
  }
  const isCondemning = verdict === 'condemn';
  const after = isCondemning ? 'condemned' : 'live';
  const link = await readLink(run, info);
  if (!link) return after;
  const bytes = isCondemning ? encodeCondemnedLink(link, condemnedBy(run.id)) : encodeBlobLink(link);
  if (await replaceListed(run, info, bytes, 'application/json')) {
    report.did(verdict, 'link', info.key, { reason: keep ?? 'no manifest names it' });
  }
  return after;
}

/** The link as it was listed; `undefined` if a writer has changed it since, or it is damaged. One storage request. */
export async function readLink(run: CollectorRun, { key, etag }: ObjectInfo): Promise<BlobLink | undefined> {
  const object = await run.storage.read(key);
  if (!object || object.info.etag !== etag || isGone(object.bytes)) return undefined;
  try {
    const { sizeBytes, key: bytesKey } = decodeBlobLink(object.bytes, key);
    return { sizeBytes, key: bytesKey };
  } catch (error) {
    run.report.problem(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
