/** The state of a task that this process runs for an operator. Times are ISO 8601. */
export type RunState<R> =
  | { state: 'none' }
  | { state: 'running'; startedAt: string }
  | { state: 'done'; startedAt: string; endedAt: string; result: R }
  | { state: 'failed'; startedAt: string; endedAt: string; error: string };

/** A task that takes long, of which one runs at a time. Its state is kept until the next one starts. */
export class SingleRun<R> {
  #state: RunState<R> = { state: 'none' };
  #running: Promise<void> | undefined;

  get state(): RunState<R> {
    return this.#state;
  }

  /** @returns false if one runs already; then `task` is not called */
  start(task: () => Promise<R>): boolean {
    if (this.#state.state === 'running') return false;
    const startedAt = new Date().toISOString();
    this.#state = { state: 'running', startedAt };
    this.#running = task()
      .then(
        (result) => ({ state: 'done' as const, result }),
        (error: unknown) => ({
          state: 'failed' as const,
          error: error instanceof Error ? error.message : String(error),
        }),
      )
      .then((end) => {
        this.#state = { ...end, startedAt, endedAt: new Date().toISOString() };
      });
    return true;
  }

  /** Resolves when no task runs. */
  async idle(): Promise<void> {
    await this.#running;
  }
}
