// Runs the collector: begins a run or resumes one, and drives its stages.
import { randomUUID } from 'node:crypto';
import type { StorageDriver } from '../../storage/driver.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import { dryRunStorage } from './dry-run-storage.ts';
import { findObstacle } from './preconditions.ts';
import { CollectionReport, type ReportDocument } from './report.ts';
import { newMemory } from './run-memory.ts';
import { RunSession } from './run-session.ts';
import { type CollectorRun, RunInterrupted, RunTakenOver, type Stage } from './stage.ts';
import { type CollectorState, readState, type StoredState } from './state.ts';
import { readStorageClock } from './storage-clock.ts';

const MINUTE = 60_000;

/** How often a run stores its position. */
const CHECKPOINT_MS = 2 * MINUTE;

/** A run whose state was not written for so long counts as abandoned: another process takes it over. */
const ABANDONED_MS = 10 * MINUTE;

export type CollectOptions = {
  /** Writes nothing, and reports what a run that starts now would do. */
  isDryRun?: boolean;
  /** How many actions the report lists. Default none; a run that is resumed lists only what it does from then on. */
  maxListed?: number;
  /** Ends the run at its next checkpoint, to be resumed. */
  signal?: AbortSignal;
  /** Called at each checkpoint with the name of the stage and what the run has done so far. */
  onProgress?: (stage: string, report: CollectionReport) => void;
};

export type CollectorOptions = {
  /** A function loads them when a run begins, so that no request waits for them. */
  stages: readonly Stage[] | (() => Promise<readonly Stage[]>);
  /** Other than the defaults in tests only, as all that follows. */
  times?: CollectionTimes;
  checkpointMs?: number;
  abandonedMs?: number;
  /** The clock of this process. It decides when a run counts as abandoned, and which start a dry run assumes, and nothing else. */
  now?: () => Date;
};

export type CollectionOutcome =
  | { kind: 'complete' | 'interrupted' | 'taken over'; run: string; startedAt: Date; report: ReportDocument }
  | { kind: 'refused'; reason: string }
  | { kind: 'busy'; run: string; since: Date };

/** Collects what nothing names. Any number of processes may do so at once. */
export class Collector {
  readonly #storage: StorageDriver;
  readonly #stages: () => Promise<readonly Stage[]>;
  readonly #times: CollectionTimes;
  readonly #checkpointMs: number;
  readonly #abandonedMs: number;
  readonly #now: () => Date;

  constructor(storage: StorageDriver, options: CollectorOptions) {
    this.#storage = storage;
    const { stages } = options;
    this.#stages = typeof stages === 'function' ? stages : async () => stages;
    this.#times = options.times ?? COLLECTION_TIMES;
    this.#checkpointMs = options.checkpointMs ?? CHECKPOINT_MS;
    this.#abandonedMs = options.abandonedMs ?? ABANDONED_MS;
    this.#now = options.now ?? (() => new Date());
  }

  /** The run that is under way, or else the last one. One storage request. */
  async state(): Promise<CollectorState | undefined> {
    return (await readState(this.#storage))?.state;
  }

  /**
   * Begins a run, or resumes one that was interrupted, and ends it unless `signal` aborts.
   *
   * A dry run assumes that the run starts now by the clock of this process. Storage tells its own clock only of what was
   * written, and S3 answers no process whose clock differs by more than 15 minutes.
   * @returns `refused` if nothing may be collected in this storage; `busy` if another process works on a run
   */
  async collect({ isDryRun = false, ...options }: CollectOptions = {}): Promise<CollectionOutcome> {
    const now = this.#now();
    const stored = await readState(this.#storage);
    const reason = await findObstacle(this.#storage, {
      times: this.#times,
      notBefore: stored?.lastModified,
      now: async () => (isDryRun ? now : await readStorageClock(this.#storage)),
    });
    if (reason !== undefined) return { kind: 'refused', reason };
    if (isDryRun) return await this.#tryOut(now, stored?.state, options);
    const session = await this.#open(now, stored);
    if (session) return await this.#collect(session, options);
    const other = stored ?? (await readState(this.#storage));
    return { kind: 'busy', run: other?.state.run ?? '', since: other?.lastModified ?? now };
  }

  /** `undefined` if another process works on a run. */
  async #open(now: Date, stored: StoredState | undefined): Promise<RunSession | undefined> {
    if (!stored || stored.state.endedAt !== undefined) return await RunSession.begin(this.#storage, stored);
    const silentMs = now.getTime() - stored.lastModified.getTime();
    if (stored.state.holder !== undefined && silentMs < this.#abandonedMs) return undefined;
    // What an older run has read is no longer worth its time.
    if (silentMs >= this.#times.graceMs) return await RunSession.begin(this.#storage, stored);
    const resumed = await RunSession.resume(this.#storage, stored);
    return resumed === 'unusable' ? await RunSession.begin(this.#storage, stored) : resumed;
  }

  async #collect(
    session: RunSession,
    { maxListed, signal = new AbortController().signal, onProgress }: CollectOptions,
  ): Promise<CollectionOutcome> {
    const { startedAt, memory, notes } = session;
    const report = new CollectionReport({
      ...(maxListed !== undefined && { maxListed }),
      ...(session.report && { from: session.report }),
    });
    const outcome = { run: session.run, startedAt };
    const { stage: stageName, cursor } = session.position;
    const stages = await this.#stages();
    let current = stages.find(({ name }) => name === stageName) ?? stages[0];
    let savedMs = performance.now();
    const run: CollectorRun = {
      ...{ storage: this.#storage, id: session.run, startedAt, times: this.#times, report, notes, signal },
      ...memory,
      isDryRun: false,
      hasConditionalDelete: await this.#storage.honorsDeleteConditions(),
      checkpoint: async (position) => {
        onProgress?.(current?.name ?? '', report);
        if (!signal.aborted && performance.now() - savedMs < this.#checkpointMs) return;
        await session.save({ stage: current?.name ?? '', cursor: position }, report);
        savedMs = performance.now();
        if (signal.aborted) throw new RunInterrupted('the run stops here, and goes on from here when it is resumed');
      },
    };
    try {
      for (const stage of stages.slice(current ? stages.indexOf(current) : 0)) {
        const isResumed = stage === current;
        current = stage;
        if (!isResumed) await session.save({ stage: stage.name }, report);
        await stage.run(run, isResumed && stage.name === stageName ? cursor : undefined);
      }
      await session.end(report, this.#now());
      return { kind: 'complete', ...outcome, report: report.toJson() };
    } catch (error) {
      if (error instanceof RunTakenOver) return { kind: 'taken over', ...outcome, report: report.toJson() };
      await session.release().catch(() => undefined); // the first error counts
      if (error instanceof RunInterrupted) return { kind: 'interrupted', ...outcome, report: report.toJson() };
      throw error;
    }
  }

  async #tryOut(
    startedAt: Date,
    before: CollectorState | undefined,
    { maxListed, signal = new AbortController().signal, onProgress }: CollectOptions,
  ): Promise<CollectionOutcome> {
    const report = new CollectionReport({ ...(maxListed !== undefined && { maxListed }) });
    const id = randomUUID();
    let stageName = '';
    const run: CollectorRun = {
      ...{ storage: dryRunStorage(this.#storage), id, startedAt, times: this.#times, report, signal },
      ...(await newMemory(this.#storage, before)),
      ...{ notes: { ...before?.notes }, isDryRun: true, hasConditionalDelete: true },
      checkpoint: async () => {
        onProgress?.(stageName, report);
        if (signal.aborted) throw new RunInterrupted('the dry run was ended');
      },
    };
    const outcome = { run: id, startedAt };
    try {
      for (const stage of await this.#stages()) {
        stageName = stage.name;
        await stage.run(run, undefined);
      }
      return { kind: 'complete', ...outcome, report: report.toJson() };
    } catch (error) {
      if (error instanceof RunInterrupted) return { kind: 'interrupted', ...outcome, report: report.toJson() };
      throw error;
    }
  }
}
