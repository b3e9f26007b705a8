import type { StorageDriver } from '../../storage/driver.ts';
import type { CollectionTimes } from '../condemned/times.ts';
import type { BlobCopies } from './blob-copies.ts';
import type { BloomFilter } from './bloom-filter.ts';
import type { CollectionReport } from './report.ts';

/** What the stages of a run share. */
export type CollectorRun = {
  /** In a dry run it writes nothing, and answers each write as if its condition held. */
  storage: StorageDriver;
  /** A uuid, which condemned forms carry. */
  id: string;
  /**
   * LastModified of the state object that was written when the run began. It is the "now" of the whole run: ages are compared
   * with it, by the clock of storage alone. Everything that may name an object is read after it.
   */
  startedAt: Date;
  times: CollectionTimes;
  report: CollectionReport;
  isDryRun: boolean;
  /** Whether storage honors `If-Match` of a DELETE: see `removeCondemned`. */
  hasConditionalDelete: boolean;
  /** Aborted when the process stops or its time is up: `checkpoint` then ends the run, to be resumed. */
  signal: AbortSignal;
  filters: RunFilters;
  copies: BlobCopies;
  /** What this run leaves to the next one: small texts by name. Stored at checkpoints. */
  notes: Record<string, string>;
  /**
   * To be called after each piece of work. Stores the position from time to time, with the filters and the report, so that the
   * run can be resumed after it.
   * @param cursor what the stage's `run` gets when it is resumed
   * @throws RunInterrupted if the process stops; RunTakenOver if another process has taken over the run
   */
  checkpoint(cursor: string | undefined): Promise<void>;
};

/** Names that the run has seen. They are stored at each checkpoint, so a resumed stage may add what they hold already. */
export type RunFilters = {
  /** Digests that any link of any repository names, live or condemned, and those of the layers of v1 images. */
  linkedDigests: BloomFilter;
  /** v1 images that are kept, and what gives rights to them: see `image-names.ts`. */
  keptImages: BloomFilter;
  /** The uuids of `oci/data/` that a pointer names. */
  pointers: BloomFilter;
};

/**
 * A part of a run. Stages run one after the other; what one of them adds to the filters is complete for the next.
 */
export type Stage = {
  /** A word, which the state object holds. */
  readonly name: string;
  /**
   * @param cursor the position of an interrupted run, as this stage passed it to `checkpoint`; undefined at the start. What was
   *   done after that checkpoint may have been done already, so every action must be one that can be repeated.
   */
  run(run: CollectorRun, cursor: string | undefined): Promise<void>;
};

/** The run stopped at a checkpoint, because the process stops or its time is up. */
export class RunInterrupted extends Error {
  override readonly name = 'RunInterrupted';
}

/** Another process has taken over the run, because this one was silent for too long. */
export class RunTakenOver extends Error {
  override readonly name = 'RunTakenOver';
}

/** Whether a time of storage is at least `ms` before the start of the run. */
export function isOlderThan(run: Pick<CollectorRun, 'startedAt'>, lastModified: Date, ms: number): boolean {
  return run.startedAt.getTime() - lastModified.getTime() >= ms;
}

/** Whether what was condemned then may be removed by this run: it started the grace period or more after that. */
export function isRipe(run: Pick<CollectorRun, 'startedAt' | 'times'>, condemnedAt: Date): boolean {
  return isOlderThan(run, condemnedAt, run.times.graceMs);
}
