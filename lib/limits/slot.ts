/** What a client has to move, on average, not to count as stalled. */
export type Pace = {
  minBytesPerSecond: number;
  /** For how long it may move nothing. */
  stallMs: number;
};

/** The right to run one transfer, and what is known of its progress. */
export class Slot {
  readonly caller: string;
  /** Whether the client has to act next, rather than storage. */
  isWaitingForClient = false;
  readonly #pace: Pace;
  readonly #onRelease: () => void;
  readonly #cutOff = new AbortController();
  #bytes = 0;
  /** When the client counts as stalled, unless it moves more bytes before. */
  #stallsAt: number;
  #isReleased = false;

  constructor(caller: string, pace: Pace, onRelease: () => void) {
    this.caller = caller;
    this.#pace = pace;
    this.#onRelease = onRelease;
    this.#stallsAt = performance.now() + pace.stallMs;
  }

  /** What the client has sent or taken so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Notes that the client has sent or taken so many bytes. They buy it time, up to `stallMs` from now. */
  moved(bytes: number): void {
    this.#bytes += bytes;
    const { minBytesPerSecond, stallMs } = this.#pace;
    const now = performance.now();
    const boughtMs = (bytes / minBytesPerSecond) * 1000;
    this.#stallsAt = Math.min(Math.max(this.#stallsAt, now) + boughtMs, now + stallMs);
  }

  get isStalled(): boolean {
    return this.isWaitingForClient && performance.now() > this.#stallsAt;
  }

  /** Aborts, with the error for the client, when the transfer has to end because its client stalls. */
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
