// What clients did to one value that they share, and whether one order of it all explains what each of them saw: whether
// every read got the value of the last write before it, and time never went backwards.
// Gibbons, Korach: Testing Shared Memories (1997), section 4: https://doi.org/10.1137/S0097539794279614

export type Operation = {
  kind: 'write' | 'read';
  /** Each value is written once. */
  value: string;
  /** When the client sent its request, and when it had the answer; never, if none came. */
  start: number;
  end: number;
};

/** The value before anybody has written one. */
export const ABSENT = 'absent';

export class History {
  readonly #operations: Operation[] = [];

  /** To be called when the request is about to be sent; what it returns, when it was acknowledged. */
  beginWrite(value: string): () => void {
    const operation: Operation = { kind: 'write', value, start: performance.now(), end: Number.POSITIVE_INFINITY };
    this.#operations.push(operation);
    return () => {
      operation.end = performance.now();
    };
  }

  /** The same for a read, whose value is known at its end. */
  beginRead(): (value: string) => void {
    const start = performance.now();
    return (value) => this.#operations.push({ kind: 'read', value, start, end: performance.now() });
  }

  get reads(): number {
    return this.#operations.filter(({ kind }) => kind === 'read').length;
  }

  contradiction(): string | undefined {
    return findContradiction(this.#operations);
  }
}

/** From the first end to the last start of what has one value: that value was there all this time, if `from` is before `to`. */
type Zone = { value: string; from: number; to: number };

/** What no order of these operations explains; `undefined` if one does. */
export function findContradiction(operations: readonly Operation[]): string | undefined {
  const initial: Operation = { kind: 'write', value: ABSENT, start: -1, end: -1 };
  const byValue = Map.groupBy([initial, ...operations], ({ value }) => value);
  const zones: Zone[] = [];
  for (const [value, same] of byValue) {
    const writes = same.filter(({ kind }) => kind === 'write');
    const [write] = writes;
    if (!write) return `${value} was read, but no write has that value`;
    if (writes.length > 1) throw new Error(`${value} was written twice: reads cannot tell the two writes apart`);
    const early = same.find(({ end }) => end < write.start);
    if (early) return `${value} was read before it was written`;
    // A write without an acknowledgement, and not seen by a read, may not have happened.
    if (same.length === 1 && write.end === Number.POSITIVE_INFINITY) continue;
    zones.push({
      value,
      from: Math.min(...same.map(({ end }) => end)),
      to: Math.max(...same.map(({ start }) => start)),
    });
  }

  const held = zones.filter(({ from, to }) => from < to).sort((a, b) => a.from - b.from);
  for (const [index, zone] of held.entries()) {
    const next = held[index + 1];
    if (next && next.from < zone.to) return `${zone.value} was seen before and after ${next.value}`;
  }
  for (const { value, from, to } of zones) {
    // These happened at one moment between `to` and `from`, which another value must not fill.
    const over = from < to ? undefined : held.find((zone) => zone.from < to && from < zone.to);
    if (over) return `${over.value} was still seen after ${value} had been acknowledged`;
  }
  return undefined;
}
