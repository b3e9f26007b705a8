import { setImmediate as nextTurn } from 'node:timers/promises';

/** Items after which other work of the process gets its turn: a few milliseconds of comparisons. */
const ITEMS_PER_TURN = 2000;

/** The items in groups, with a turn of the event loop between them, so that a long list does not hold up other requests. */
export async function* inTurns<T>(items: readonly T[], perTurn = ITEMS_PER_TURN): AsyncGenerator<readonly T[]> {
  for (let start = 0; start < items.length; start += perTurn) {
    if (start > 0) await nextTurn();
    yield items.slice(start, start + perTurn);
  }
}

/** As `toSorted`, also stable, with a turn of the event loop after each 2,000 items sorted or merged. */
export async function sortedInTurns<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
  perTurn = ITEMS_PER_TURN,
): Promise<T[]> {
  let runs: T[][] = [];
  for await (const group of inTurns(items, perTurn)) runs.push(group.toSorted(compare));
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let at = 0; at < runs.length; at += 2) merged.push(await merge(runs[at] ?? [], runs[at + 1] ?? []));
    runs = merged;
  }
  return runs[0] ?? [];

  async function merge(left: readonly T[], right: readonly T[]): Promise<T[]> {
    const all: T[] = [];
    let [l, r] = [0, 0];
    while (l < left.length && r < right.length) {
      const [a, b] = [left[l] as T, right[r] as T];
      if (compare(a, b) <= 0) {
        all.push(a);
        l++;
      } else {
        all.push(b);
        r++;
      }
      if (all.length % perTurn === 0) await nextTurn();
    }
    for (; l < left.length; l++) all.push(left[l] as T);
    for (; r < right.length; r++) all.push(right[r] as T);
    return all;
  }
}
