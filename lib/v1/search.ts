import { type Context, Hono } from 'hono';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

/** Docker Hub's, and so what clients expect where they ask for nothing else. */
const DEFAULT_SIZE = 25;
const MAX_SIZE = 100;

/** `docker search`. Docker 1.12 adds `n`; `page` is Docker Hub's. */
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

/** A positive number of the query; nonsense counts as absent, as all unknown parameters do. */
function numberOf(c: Context, name: string, fallback: number): number {
  const value = Number(c.req.query(name));
  return Number.isSafeInteger(value) && value > 0 ? value : fallback;
}
