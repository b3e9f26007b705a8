type Queue = (() => void)[];

/**
 * Runs so many tasks at once and lets the others wait. Callers take turns: a caller with thousands of tasks delays one of
 * another caller by no more than the tasks under way. How many wait is bounded by those who bring them.
 */
export class FairTurns {
  readonly #atOnce: number;
  /** In the order in which callers get their next turn. */
  readonly #waiting = new Map<string, Queue>();
  #underWay = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  async run<T>(caller: string, task: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#atOnce) this.#underWay++;
    else await this.#wait(caller);
    try {
      return await task();
    } finally {
      this.#handOn();
    }
  }

  #wait(caller: string): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#waiting.get(caller);
      if (queue) queue.push(resolve);
      else this.#waiting.set(caller, [resolve]);
    });
  }

  /** The turn that ends goes to the caller who has waited longest since their last one. */
  #handOn(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#underWay--;
      return;
    }
    const [caller, queue] = next;
    const start = queue.shift();
    this.#waiting.delete(caller);
    if (queue.length > 0) this.#waiting.set(caller, queue);
    start?.();
  }
}
