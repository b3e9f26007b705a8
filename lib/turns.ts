import { RegistryError } from './errors.ts';

/** Less than the 60 s after which load balancers end a connection on which nothing moves. */
const WAIT_MS = 30_000;

/** Lets so many uploads come at once; later ones wait for a turn, first come, first served. */
export class Turns {
  readonly #atOnce: number;
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(atOnce: number, waitMs = WAIT_MS) {
    this.#atOnce = atOnce;
    this.#waitMs = waitMs;
  }

  /** @throws RegistryError UNAVAILABLE if no turn comes in time; then nothing has been done */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken < this.#atOnce) this.#taken++;
    else await this.#wait();
    try {
      return await work();
    } finally {
      this.#handOn();
    }
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = () => {
        clearTimeout(limit);
        resolve();
      };
      const limit = setTimeout(() => {
        this.#waiting.delete(start);
        reject(
          new RegistryError('UNAVAILABLE', `${this.#atOnce} uploads are under way, try again`, {
            headers: { 'Retry-After': '5' },
          }),
        );
      }, this.#waitMs);
      this.#waiting.add(start);
    });
  }

  /** To whoever has waited longest. */
  #handOn(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#taken--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
