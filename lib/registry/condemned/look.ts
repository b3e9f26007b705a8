import { checkLook, type LimitedLook } from '../../storage/driver.ts';
import { COLLECTION_TIMES, type CollectionTimes } from './times.ts';

/**
 * The moment at which a writer began to look at objects that it is about to rely on. A look is valid for `lookMs`, by the wall
 * clock and by the monotonic one, since a process may be suspended and a clock may be set. A collector that condemns one of the
 * objects later waits longer than that before it removes it. So each write that relies on them is given the look
 * (`PutOptions.look`), and storage does not execute it later.
 */
export class Look implements LimitedLook {
  readonly startedAt = new Date();
  readonly #startedMs = performance.now();
  readonly #lookMs: number;

  constructor({ lookMs }: Pick<CollectionTimes, 'lookMs'> = COLLECTION_TIMES) {
    this.#lookMs = lookMs;
  }

  /** How long the look is still valid; negative once it has expired. */
  get remainingMs(): number {
    const passedMs = Math.max(performance.now() - this.#startedMs, Date.now() - this.startedAt.getTime());
    return this.#lookMs - passedMs;
  }

  get isValid(): boolean {
    return this.remainingMs > 0;
  }

  /** @throws StorageUnavailableError if the look has expired: the client gets 503 and tries again */
  check(): void {
    checkLook(this);
  }
}

/** Of two looks that cover a write, the one that expires first. */
export function earlierLook(one: Look, other: Look | undefined): Look {
  return other && other.remainingMs < one.remainingMs ? other : one;
}
