import { RegistryError } from '../model/errors.ts';

/**
 * Runs a limited number of tasks at once; the others wait. Callers take turns, each with its tasks in the order they came:
 * a caller with thousands of tasks delays another caller's next task by no more than the tasks that are running.
 */
export class Slots {
  readonly #maxWaiting: number;
  /** What starts each waiting task, by caller, in the order in which callers get their next slot. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #waitingCount = 0;
  #free: number;

  /** @param options.maxWaiting how many tasks wait at most. Default: any number */
  constructor({ atOnce, maxWaiting = Infinity }: { atOnce: number; maxWaiting?: number }) {
    this.#free = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Runs `task` as soon as a slot is free, and passes on what it returns or throws.
   * @param caller whose turn it is. Without callers, tasks run in the order they came
   * @throws RegistryError UNAVAILABLE if too many tasks wait already; then `task` has not run
   */
  async run<T>(task: () => Promise<T>, caller = ''): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(caller);
    try {
      return await task();
    } finally {
      this.#passOn();
    }
  }

  #wait(caller: string): Promise<void> {
    if (this.#waitingCount >= this.#maxWaiting) {
      const message = `${this.#waitingCount} requests wait for the same work already, try again`;
      throw new RegistryError('UNAVAILABLE', message, { headers: { 'Retry-After': '30' } });
    }
    this.#waitingCount++;
    return new Promise((resolve) => {
      const queue = this.#waiting.get(caller);
      if (queue) queue.push(resolve);
      else this.#waiting.set(caller, [resolve]);
    });
  }

  /** Gives the slot to the caller whose last turn is longest ago. */
  #passOn(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#free++;
      return;
    }
    const [caller, queue] = next;
    const start = queue.shift();
    this.#waitingCount--;
    this.#waiting.delete(caller);
    if (queue.length > 0) this.#waiting.set(caller, queue);
    start?.();
  }
}
