import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../model/log.ts';

/** How many tasks run at once: they must not get in the way of requests. */
const TASKS_AT_ONCE = 2;

/** Work that no request waits for. What fails is logged and not repeated: whoever needs the result does it then. */
export class Background {
  readonly #log: Log;
  readonly #waiting = new Map<string, () => Promise<void>>();
  readonly #pauses = new Set<Promise<void>>();
  #running = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * @param name of two tasks of one name that wait, the later one does for both
   * @param pauseMilliseconds it does not begin before
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
    this.#next();
  }

  /** When nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running.size + this.#pauses.size > 0) await Promise.all([...this.#running, ...this.#pauses]);
  }

  #next(): void {
    for (const [name, task] of this.#waiting) {
      if (this.#running.size >= TASKS_AT_ONCE) return;
      this.#waiting.delete(name);
      const running = this.#run(name, task);
      this.#running.add(running);
      void running.then(() => {
        this.#running.delete(running);
        this.#next();
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
