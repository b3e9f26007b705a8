/**
 * Runs tasks in the order in which they come, a few in each turn of the event loop. Node accepts one connection in each turn, so a turn
 * that answers the requests of all others would keep new clients waiting.
 */
export class TurnQueue {
  readonly #tasksInATurn: number;
  readonly #waiting: (() => void)[] = [];
  /** Tasks since the queue was looked at last: at least those of this turn. */
  #started = 0;

  constructor(tasksInATurn: number) {
    this.#tasksInATurn = tasksInATurn;
  }

  /** @param task does not throw */
  run(task: () => void): void {
    if (this.#started < this.#tasksInATurn) this.#start(task);
    else this.#waiting.push(task);
  }

  #start(task: () => void): void {
    this.#started++;
    if (this.#started === this.#tasksInATurn) setImmediate(this.#startWaiting);
    task();
  }

  readonly #startWaiting = (): void => {
    this.#started = 0;
    for (const task of this.#waiting.splice(0, this.#tasksInATurn)) this.#start(task);
  };
}
