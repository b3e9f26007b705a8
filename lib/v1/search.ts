import { type Context, Hono } from 'hono';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

/** As Docker Hub answers without `n`. */
const DEFAULT_SIZE = 25;
const MAX_SIZE = 100;

/** `docker search`. `n` is sent by Docker 1.12 and later; `page` is a parameter of Docker Hub. */
export const searchRoutes = ({ registry: { search }, gate }: V1Options) =>
  new Hono().get('/search', gate.allowSearch, async (c) => {
    const query = c.req.query('q') ?? '';
    const size = Math.min(numberOf(c, 'n', DEFAULT_SIZE), MAX_SIZE);
    const page = numberOf(c, 'page', 1);
    const { total, names } = await search.find(query, { page, size, isShown: (name) => gate.mayList(c, name) });
    return answer(c, {
      num_results: total,
      num_pages: Math.ceil(total / size),
      page,
      page_size: size,
      query,
      results: names.map((name) => ({ name, description: '' })),
    });
  });

/** A positive integer of the query. Any other value is ignored, as unknown parameters are. */
function numberOf(c: Context, name: string, fallback: number): number {
  const value = Number(c.req.query(name));
  return Number.isSafeInteger(value) && value > 0 ? value : fallback;
}
