import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../model/log.ts';

/** Few, to leave connections and memory to requests. */
const MAX_RUNNING = 2;

/**
 * Runs background work: tasks that no request waits for. An error is logged and the task is not repeated, so the result must be
 * one that a later request can produce itself.
 */
export class Background {
  readonly #log: Log;
  readonly #waiting = new Map<string, () => Promise<void>>();
  readonly #pauses = new Set<Promise<void>>();
  readonly #short = new Set<Promise<void>>();
  #running = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Queues a task.
   * @param name replaces a task of the same name that has not started; also for the log
   * @param pauseMilliseconds how long to wait before the task is queued
   */
  run(name: string, task: () => Promise<void>, pauseMilliseconds = 0): void {
    if (pauseMilliseconds > 0) {
      const pause = sleep(pauseMilliseconds).then(() => {
        this.#pauses.delete(pause);
        this.run(name, task);
      });
      this.#pauses.add(pause);
      return;
    }
    this.#waiting.set(name, task);
    this.#startTasks();
  }

  /**
   * Runs a short task, such as one storage request, without a place in the queue. No other task replaces it.
   * @param name for the log
   */
  runAtOnce(name: string, task: () => Promise<void>): void {
    const running = this.#run(name, task);
    this.#short.add(running);
    void running.then(() => this.#short.delete(running));
  }

  /** Resolves when no task runs or waits. */
  async idle(): Promise<void> {
    while (this.#running.size + this.#pauses.size + this.#short.size > 0) {
      await Promise.all([...this.#running, ...this.#pauses, ...this.#short]);
    }
  }

  #startTasks(): void {
    for (const [name, task] of this.#waiting) {
      if (this.#running.size >= MAX_RUNNING) return;
      this.#waiting.delete(name);
      const running = this.#run(name, task);
      this.#running.add(running);
      void running.then(() => {
        this.#running.delete(running);
        this.#startTasks();
      });
    }
  }

  async #run(name: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#log.error('background task failed', { task: name, error });
    }
  }
}
