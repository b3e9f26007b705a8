/** The pace at which a client has to send or receive, so that it does not count as stalled. */
export type Pace = {
  minBytesPerSecond: number;
  /** How long it may send or receive nothing. */
  stallMs: number;
};

/** The right to run one transfer, and the progress of its client. */
export class Slot {
  readonly caller: string;
  /** True while the transfer waits for the client, false while it waits for storage. */
  isWaitingForClient = false;
  readonly #pace: Pace;
  readonly #onRelease: () => void;
  readonly #cutOff = new AbortController();
  #bytes = 0;
  /** From this time on, by `performance.now()`, the client counts as stalled, unless it moves more bytes before. */
  #stallsAt: number;
  #isReleased = false;

  constructor(caller: string, pace: Pace, onRelease: () => void) {
    this.caller = caller;
    this.#pace = pace;
    this.#onRelease = onRelease;
    this.#stallsAt = performance.now() + pace.stallMs;
  }

  /** How many bytes the client has sent or received so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records that the client has sent or received bytes. They postpone `#stallsAt`, to `stallMs` from now at most. */
  moved(bytes: number): void {
    this.#bytes += bytes;
    const { minBytesPerSecond, stallMs } = this.#pace;
    const now = performance.now();
    const gainedMs = (bytes / minBytesPerSecond) * 1000;
    this.#stallsAt = Math.min(Math.max(this.#stallsAt, now) + gainedMs, now + stallMs);
  }

  get isStalled(): boolean {
    return this.isWaitingForClient && performance.now() > this.#stallsAt;
  }

  /** Aborts when the transfer has to end because its client stalls. The reason is the error for the client. */
  get signal(): AbortSignal {
    return this.#cutOff.signal;
  }

  /** Ends the transfer and frees the slot at once. */
  cutOff(reason: Error): void {
    this.#cutOff.abort(reason);
    this.release();
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#onRelease();
  }
}

/** Runs `work` with a slot, which is released when `work` has ended. @throws as `acquired` */
export async function withSlot<T>(acquired: Promise<Slot>, work: (slot: Slot) => Promise<T>): Promise<T> {
  const slot = await acquired;
  try {
    return await work(slot);
  } finally {
    slot.release();
  }
}
