import type { Context } from 'hono';
import { RegistryError } from '../model/errors.ts';

export type Page<T> = { items: T[]; isLast: boolean };

/** `n` of the query; undefined if absent or empty. @throws RegistryError PAGINATION_NUMBER_INVALID */
export function pageSizeOf(c: Context): number | undefined {
  const text = c.req.query('n');
  if (text === undefined || text === '') return undefined;
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) {
    throw new RegistryError('PAGINATION_NUMBER_INVALID', `n is ${JSON.stringify(text)}, not a number of items`, {
      detail: { n: text },
    });
  }
  return n;
}

/** The first `size` items for which `isNamed`, all without a size. Reads one item more to find out whether the page is the last. */
export async function firstPage<T>(
  items: AsyncIterable<T>,
  isNamed: (item: T) => boolean,
  size: number | undefined,
): Promise<Page<T>> {
  const page: T[] = [];
  if (size === 0) return { items: page, isLast: true };
  for await (const item of items) {
    if (!isNamed(item)) continue;
    if (page.length === size) return { items: page, isLast: false };
    page.push(item);
  }
  return { items: page, isLast: true };
}

/**
 * `Link` to the page that follows `last`.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export function nextLink(path: string, last: string, size: number, query: Record<string, string> = {}): string {
  return `<${path}?${new URLSearchParams({ ...query, n: String(size), last })}>; rel="next"`;
}
