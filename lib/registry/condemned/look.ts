import { StorageUnavailableError } from '../../storage/driver.ts';
import { COLLECTION_TIMES, type CollectionTimes } from './times.ts';

/**
 * The moment at which a writer began to look at objects that it is about to rely on: a look is valid for `lookMs`, by the wall
 * clock and by the monotonic one, since a process may be suspended and a clock may be set. A collector that condemns one of the
 * objects later waits longer than that before it removes it. So each write that relies on them checks the look first, and is
 * signed with its date, so that storage refuses a request that arrives too late.
 */
export class Look {
  readonly startedAt = new Date();
  readonly #startedMs = performance.now();
  readonly #lookMs: number;

  constructor({ lookMs }: Pick<CollectionTimes, 'lookMs'> = COLLECTION_TIMES) {
    this.#lookMs = lookMs;
  }

  get isValid(): boolean {
    const passedMs = Math.max(performance.now() - this.#startedMs, Date.now() - this.startedAt.getTime());
    return passedMs < this.#lookMs;
  }

  /** @throws StorageUnavailableError if the look is too old: the client gets 503 and tries again */
  check(): void {
    if (!this.isValid) throw new StorageUnavailableError('this request was held up for too long, try again');
  }
}
