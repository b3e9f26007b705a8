import type { Stage } from '../../lib/registry/collector/stage.ts';
import { collectorStages } from '../../lib/registry/collector/stages.ts';
import type { CollectionTimes } from '../../lib/registry/condemned/times.ts';
import type { Registry } from '../../lib/registry/registry.ts';

const SECOND = 1000;

/**
 * Seconds for days. The sessions of uploads are not shortened, so the age of bytes that may be marked is more than a client waits
 * for an answer, and a server is suspended, in all of an upload.
 */
export const TIMES: CollectionTimes = {
  graceMs: 2 * SECOND,
  lookMs: 1.5 * SECOND, // S3 knows the date of a signature to the second
  minAgeMs: 20 * SECOND,
  oldWritersMs: 0,
};

/** A run that was silent for so long is taken over: that of a process that was killed or suspended. */
export const ABANDONED_MS = SECOND;

/** Manifests without a tag go too, so that in the end all that is left is referenced. */
export function chaosStages(_registry: Registry): Stage[] {
  return collectorStages({
    undoMs: SECOND,
    untaggedPolicy: () => ({ olderThanMs: TIMES.graceMs }),
    findSources: async () => new Set(),
  });
}
