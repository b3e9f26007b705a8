import { RegistryError } from '../errors.ts';

/**
 * How many bodies one caller may send at once, to one process. Docker sends 5. Uploads have no state here that could be
 * counted: what an upload takes is a connection and the buffers of the parts that are under way, and this bounds both.
 */
const MAX_AT_ONCE = 64;

/** What callers have under way. */
export class AtOnce {
  readonly #counts = new Map<string, number>();

  /** @throws RegistryError TOOMANYREQUESTS */
  async run<T>(who: string, work: () => Promise<T>): Promise<T> {
    const count = this.#counts.get(who) ?? 0;
    if (count >= MAX_AT_ONCE) {
      throw new RegistryError('TOOMANYREQUESTS', `${MAX_AT_ONCE} uploads at once are enough`, {
        headers: { 'Retry-After': '5' },
      });
    }
    this.#counts.set(who, count + 1);
    try {
      return await work();
    } finally {
      const left = (this.#counts.get(who) ?? 1) - 1;
      if (left > 0) this.#counts.set(who, left);
      else this.#counts.delete(who);
    }
  }
}
