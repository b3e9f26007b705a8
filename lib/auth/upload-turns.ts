import { RegistryError } from '../errors.ts';

/** Less than the 60 s after which load balancers end a connection on which nothing moves. */
const WAIT_MS = 30_000;

/** As many layers as Docker sends side by side. */
const FEW = 5;

export type UploadTurnsOptions = {
  /** How many uploads one process takes at once. */
  atOnce?: number;
  /** How many of them one caller may have under way or waiting. */
  each?: number;
  /** How long a turn is waited for. */
  waitMs?: number;
};

type Waiting = { who: string; start: () => void };

/**
 * Lets so many uploads come at once; later ones wait for a turn, first come, first served. A quarter of the turns is for
 * callers who have no more than five uploads: whoever takes many, and lets them stand still, does not keep the others out.
 *
 * Uploads have no state here that could be counted: what one takes is a connection and the buffers of the parts that are
 * under way, and this bounds both.
 */
export class UploadTurns {
  readonly #atOnce: number;
  readonly #forAll: number;
  readonly #each: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<Waiting>();
  /** Under way or waiting, by caller. */
  readonly #counts = new Map<string, number>();
  #underWay = 0;

  constructor({ atOnce = Infinity, each = Infinity, waitMs = WAIT_MS }: UploadTurnsOptions) {
    this.#atOnce = atOnce;
    this.#forAll = Math.ceil(0.75 * atOnce);
    this.#each = each;
    this.#waitMs = waitMs;
  }

  /**
   * @throws RegistryError TOOMANYREQUESTS if the caller has too many already, UNAVAILABLE if no turn comes in time; then
   *   nothing has been done
   */
  async run<T>(who: string, work: () => Promise<T>): Promise<T> {
    this.#count(who, 1);
    try {
      if (this.#mayStart(who)) this.#underWay++;
      else await this.#wait(who);
      try {
        return await work();
      } finally {
        this.#underWay--;
      }
    } finally {
      this.#count(who, -1);
      this.#startNext();
    }
  }

  #count(who: string, change: 1 | -1): void {
    const count = (this.#counts.get(who) ?? 0) + change;
    if (count > this.#each) {
      throw new RegistryError('TOOMANYREQUESTS', `${this.#each} uploads at once are enough`, COME_AGAIN);
    }
    if (count > 0) this.#counts.set(who, count);
    else this.#counts.delete(who);
  }

  #mayStart(who: string): boolean {
    const hasFew = (this.#counts.get(who) ?? 0) <= FEW;
    return this.#underWay < (hasFew ? this.#atOnce : this.#forAll);
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
        reject(new RegistryError('UNAVAILABLE', `${this.#underWay} uploads are under way, try again`, COME_AGAIN));
      }, this.#waitMs);
      this.#waiting.add(waiting);
    });
  }

  /** Who has waited longest, of those who may. */
  #startNext(): void {
    for (const waiting of this.#waiting) {
      if (!this.#mayStart(waiting.who)) continue;
      this.#waiting.delete(waiting);
      this.#underWay++;
      waiting.start();
    }
  }
}

const COME_AGAIN = { headers: { 'Retry-After': '5' } };
