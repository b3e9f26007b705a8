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
  const errors: unknown[] = [];
  const queue = items.entries();
  const work = async () => {
    for (const [index, item] of queue) {
      if (errors.length > 0) return;
      try {
        results[index] = await run(item);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  if (errors.length > 0) throw errors[0];
  return results;
}
