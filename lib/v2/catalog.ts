import { Hono } from 'hono';
import { isV2Name, parseRepositoryName } from '../names.ts';
import type { V2Options } from './options.ts';
import { firstPage, nextLink, pageSizeOf } from './paging.ts';

const DEFAULT_PAGE = 1000;

/** @see https://distribution.github.io/distribution/spec/api/#catalog */
export const catalogRoutes = ({ registry: { catalog } }: V2Options) =>
  new Hono().get('/_catalog', async (c) => {
    const size = pageSizeOf(c) ?? DEFAULT_PAGE;
    const last = c.req.query('last');
    const page = await firstPage(catalog.list(last ? { after: parseRepositoryName(last) } : {}), isV2Name, size);
    const lastName = page.items.at(-1);
    if (!page.isLast && lastName) c.header('Link', nextLink('/v2/_catalog', lastName, size));
    return c.json({ repositories: page.items });
  });
