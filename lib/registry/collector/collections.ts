import type { CollectionOutcome, CollectOptions, Collector } from './collector.ts';
import type { CollectorState } from './state.ts';

/** Where the run of this process is. */
export type CollectionProgress = { isDryRun: boolean; stage: string; objectsListed: number };

type Running = { outcome: Promise<CollectionOutcome>; controller: AbortController; progress: CollectionProgress };

/** The collections of this process, dry runs included: one at a time, since each may take hundreds of MiB. */
export class Collections {
  readonly #load: () => Promise<Collector>;
  #running: Running | undefined;
  #isStopped = false;
  /** When the schedule of this process compares the time of the next run with the clock. */
  nextCheckAt: Date | undefined;

  /** @param collector a function loads it when it is needed: no request but its own waits for it */
  constructor(collector: Collector | (() => Promise<Collector>)) {
    this.#load = typeof collector === 'function' ? collector : async () => collector;
  }

  /** Of the run in this process; undefined if there is none. */
  get progress(): CollectionProgress | undefined {
    return this.#running?.progress;
  }

  /** The run that is under way in any process, or else the last one. One storage request. */
  async state(): Promise<CollectorState | undefined> {
    return await (await this.#load()).state();
  }

  /**
   * Starts a collection; see `Collector.collect`. The caller handles the errors of the outcome.
   * @param options.signal of the caller, beside which `stop` ends the run
   * @returns `undefined` if one runs in this process, or the process stops
   */
  start({ signal, onProgress, ...options }: CollectOptions = {}): { outcome: Promise<CollectionOutcome> } | undefined {
    if (this.#running || this.#isStopped) return undefined;
    const controller = new AbortController();
    const progress = { isDryRun: options.isDryRun ?? false, stage: '', objectsListed: 0 };
    const collect = async () => {
      const collector = await this.#load();
      return await collector.collect({
        ...options,
        signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
        onProgress: (stage, report) => {
          Object.assign(progress, { stage, objectsListed: report.objectsListed });
          onProgress?.(stage, report);
        },
      });
    };
    const outcome = collect().finally(() => {
      this.#running = undefined;
    });
    this.#running = { outcome, controller, progress };
    return { outcome };
  }

  /** Ends the run at its next checkpoint, and starts no other. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#running?.controller.abort();
    await this.#running?.outcome.catch(() => undefined); // its caller gets the error
  }
}
