/** So many checks in a row without an answer mean that the process hangs. */
export const MAX_UNANSWERED_CHECKS = 6;

/**
 * Finds out whether another process hangs. It counts checks instead of time: a machine that slept, or a process that was stopped
 * together with this one, has missed none.
 */
export class Heartbeat {
  readonly #ping: () => Promise<unknown>;
  readonly #onHang: () => void;
  #isWaiting = false;
  #unansweredChecks = 0;

  /** @param ping resolves once the process answers. @param onHang is called once */
  constructor(ping: () => Promise<unknown>, onHang: () => void) {
    this.#ping = ping;
    this.#onHang = onHang;
  }

  /** To be called at intervals. Sends a ping unless the last one has no answer yet. */
  check(): void {
    if (this.#isWaiting) {
      this.#unansweredChecks++;
      if (this.#unansweredChecks === MAX_UNANSWERED_CHECKS) this.#onHang();
      return;
    }
    this.#isWaiting = true;
    this.#unansweredChecks = 0;
    const answered = () => {
      this.#isWaiting = false;
    };
    this.#ping().then(answered, answered); // one that has ended does not hang
  }
}
