/** How many storage requests one operation has under way at once. */
const REQUESTS_AT_ONCE = 16;

/**
 * Like `Promise.all(items.map(run))`, with at most `atOnce` running. After a failure it starts no further item, and rejects
 * with the first error once all running items have ended: nothing is written behind the back of a caller that has given up.
 * @returns the results in the order of the items
 */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  run: (item: T) => Promise<R>,
  atOnce = REQUESTS_AT_ONCE,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const store = async ([index, item]: [number, T]) => {
    results[index] = await run(item);
  };
  await forEachConcurrently(items.entries(), store, Math.min(atOnce, items.length));
  return results;
}

/** As `mapConcurrently` without results. Each item is taken when it is its turn, so `items` may be made on the way. */
export async function forEachConcurrently<T>(
  items: Iterable<T>,
  run: (item: T) => Promise<void>,
  atOnce = REQUESTS_AT_ONCE,
): Promise<void> {
  const errors: unknown[] = [];
  const queue = items[Symbol.iterator]();
  const work = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      if (errors.length > 0) return;
      try {
        await run(next.value);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (errors.length > 0) throw errors[0];
}
