// The collector's writes on condition. Each answers whether its condition held; if not, a writer has changed the object, and the
// collector leaves it.
import type { ETag, ObjectInfo } from '../../storage/driver.ts';
import { encodeGone } from '../condemned/gone.ts';
import type { CollectedKind } from './report.ts';
import { type CollectorRun, isRipe } from './stage.ts';

/**
 * Removes a condemned form. Its nonce gives it an ETag that no other object has, so a removal that is late or repeated meets
 * nothing else. Where DELETE has no condition, a PUT on condition writes the gone form, which readers take as absent.
 */
export async function removeCondemned(
  run: CollectorRun,
  { key, etag }: Pick<ObjectInfo, 'key' | 'etag'>,
): Promise<boolean> {
  if (run.hasConditionalDelete) return await run.storage.delete(key, { ifMatch: etag });
  return (await run.storage.put(key, encodeGone(), { ifMatch: etag })) !== undefined;
}

/** Replaces the object that was listed. */
export async function replaceListed(
  run: CollectorRun,
  { key, etag }: { key: ObjectInfo['key']; etag: ETag },
  bytes: Uint8Array,
  contentType: string,
): Promise<boolean> {
  return (await run.storage.put(key, bytes, { ifMatch: etag, contentType })) !== undefined;
}

/** What a condemned form comes to: `keep` is why it must not go, if anything is. */
export function verdictOn(
  run: CollectorRun,
  { info, isCondemned, keep }: { info: ObjectInfo; isCondemned: boolean; keep: string | undefined },
): 'keep' | 'condemn' | 'revive' | 'wait' | 'remove' {
  if (keep !== undefined) return isCondemned ? 'revive' : 'keep';
  // What was written during the run may be named by what is written next.
  if (!isCondemned) return info.lastModified < run.startedAt ? 'condemn' : 'keep';
  return isRipe(run, info.lastModified) ? 'remove' : 'wait';
}

/** Counts what stays for a reason of time. */
export function reportWaiting(run: CollectorRun, kind: CollectedKind): void {
  run.report.kept(kind, 'condemned, within the grace period');
}
