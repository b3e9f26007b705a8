/** How many storage requests one operation keeps under way at once. */
const REQUESTS_AT_ONCE = 16;

/** Like `Promise.all(items.map(run))`, with a bounded number under way; results in the order of the items. */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  run: (item: T) => Promise<R>,
  atOnce = REQUESTS_AT_ONCE,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const queue = items.entries();
  const work = async () => {
    for (const [index, item] of queue) results[index] = await run(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return results;
}
