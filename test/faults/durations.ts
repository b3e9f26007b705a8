/** How long things of one kind take, from what they took so far. */
export class Durations {
  readonly #typicalMs = new Map<string, number>();

  /** A little more than usual; of what was never done before, a guess. */
  typicalMs(kind: string): number {
    return 1.2 * (this.#typicalMs.get(kind) ?? 20);
  }

  async measure<T>(kind: string, task: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await task();
    const tookMs = performance.now() - start;
    const usualMs = this.#typicalMs.get(kind) ?? tookMs;
    this.#typicalMs.set(kind, usualMs + (tookMs - usualMs) / 4);
    return result;
  }
}
