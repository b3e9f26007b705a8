import { DAY_MS, formatDuration } from '../../model/duration.ts';
import type { Digest, Tag } from '../../model/names.ts';
import type { Verdict } from './decide.ts';

/** `isImageTagged`: the image is reached from a tag that stays. */
export type AttachedVerdict = Verdict & { isImageTagged: boolean };

export type AttachedTag = { tag: Tag; subject: Digest; target: Digest; movedAtMs: number; isImmutable: boolean };

/** A copy may bring what is attached before the image. */
const ORPHAN_MS = DAY_MS;

/**
 * Attached tags follow their image, and no rule decides about them by their names. Such a tag is kept while its subject is reached from a
 * tag that stays. It is deleted if its subject is reached from deleted tags alone, or is not in the repository any more. Where
 * no tag at all reaches the subject, the image is untagged: it is kept, and so is what is attached to it.
 * @param reached what is reached from tags of the repository that stay, and from those that are deleted
 * @param isHeld whether the repository holds a manifest
 */
export async function decideAttached(
  attached: readonly AttachedTag[],
  {
    reached,
    isHeld,
    nowMs,
  }: {
    reached: { fromStaying: ReadonlySet<Digest>; fromDeleted: ReadonlySet<Digest> };
    isHeld: (digest: Digest) => Promise<boolean>;
    nowMs: number;
  },
): Promise<Map<Tag, AttachedVerdict>> {
  const verdicts = new Map<Tag, AttachedVerdict>();
  const staying = new Set(reached.fromStaying);
  const deleted = new Set(reached.fromDeleted);
  /** What is attached to an attached manifest follows it. */
  const settle = (keep: boolean, digests: Set<Digest>, reasonOf: (subject: Digest) => string) => {
    let hasSettled = false;
    for (let found = true; found; hasSettled ||= found) {
      found = false;
      for (const { tag, subject, target } of attached) {
        if (verdicts.has(tag) || !digests.has(subject)) continue;
        verdicts.set(tag, { keep, reason: reasonOf(subject), isImageTagged: keep });
        digests.add(target);
        found = true;
      }
    }
    return hasSettled;
  };
  for (const { tag, target, isImmutable } of attached) {
    if (!isImmutable) continue;
    verdicts.set(tag, { keep: true, reason: 'immutable', isImageTagged: false });
    staying.add(target);
  }
  settle(true, staying, (subject) => `its image ${subject} is kept`);
  settle(false, deleted, (subject) => `its image ${subject} is deleted`);
  for (const { tag, subject, target, movedAtMs } of attached) {
    if (verdicts.has(tag)) continue;
    const isOrphan = !(await isHeld(subject));
    const keep = !isOrphan || nowMs - movedAtMs < ORPHAN_MS;
    const reason = isOrphan
      ? `there is no image ${subject}${keep ? `, and the tag is newer than ${formatDuration(ORPHAN_MS)}` : ''}`
      : `its image ${subject} has no tag`;
    verdicts.set(tag, { keep, reason, isImageTagged: false });
    (keep ? staying : deleted).add(target);
    if (keep) settle(true, staying, (digest) => `its image ${digest} is kept`);
    else settle(false, deleted, (digest) => `its image ${digest} is deleted`);
  }
  return verdicts;
}
