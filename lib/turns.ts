import { RegistryError } from './errors.ts';

/** Less than the 60 s after which load balancers end a connection on which nothing moves. */
const WAIT_MS = 30_000;

/** As many layers as Docker sends side by side. */
const FEW = 5;

type Waiting = { who: string; start: () => void };

/**
 * Lets so many uploads come at once; later ones wait for a turn, first come, first served. A quarter of the turns is for
 * callers who have fewer than five: whoever takes many, and lets them stand still, does not keep the others out.
 */
export class Turns {
  readonly #atOnce: number;
  readonly #forAll: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<Waiting>();
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor(atOnce: number, waitMs = WAIT_MS) {
    this.#atOnce = atOnce;
    this.#forAll = atOnce - Math.floor(atOnce / 4);
    this.#waitMs = waitMs;
  }

  /** @throws RegistryError UNAVAILABLE if no turn comes in time; then nothing has been done */
  async run<T>(who: string, work: () => Promise<T>): Promise<T> {
    if (this.#mayStart(who)) this.#take(who);
    else await this.#wait(who);
    try {
      return await work();
    } finally {
      this.#giveBack(who);
    }
  }

  #mayStart(who: string): boolean {
    const hasFew = (this.#held.get(who) ?? 0) < FEW;
    return this.#taken < (hasFew ? this.#atOnce : this.#forAll);
  }

  #take(who: string): void {
    this.#taken++;
    this.#held.set(who, (this.#held.get(who) ?? 0) + 1);
  }

  #wait(who: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = () => {
        clearTimeout(limit);
        resolve();
      };
      const waiting = { who, start };
      const limit = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(
          new RegistryError('UNAVAILABLE', `${this.#taken} uploads are under way, try again`, {
            headers: { 'Retry-After': '5' },
          }),
        );
      }, this.#waitMs);
      this.#waiting.add(waiting);
    });
  }

  /** To whoever has waited longest, of those who may have it. */
  #giveBack(who: string): void {
    const left = (this.#held.get(who) ?? 1) - 1;
    if (left > 0) this.#held.set(who, left);
    else this.#held.delete(who);
    this.#taken--;
    for (const waiting of this.#waiting) {
      if (!this.#mayStart(waiting.who)) continue;
      this.#waiting.delete(waiting);
      this.#take(waiting.who);
      waiting.start();
    }
  }
}
