import { Hono } from 'hono';
import { isV2Name, parseRepositoryName, type RepositoryName } from '../names.ts';
import type { V2Options } from './options.ts';
import { firstPage, nextLink, pageSizeOf } from './paging.ts';

const DEFAULT_PAGE = 1000;

/** @see https://distribution.github.io/distribution/spec/api/#catalog */
export const catalogRoutes = ({ registry: { catalog }, gate }: V2Options) =>
  new Hono().get('/_catalog', gate.allowCatalog, async (c) => {
    const size = pageSizeOf(c) ?? DEFAULT_PAGE;
    const last = c.req.query('last');
    const isShown = (name: RepositoryName) => isV2Name(name) && gate.maySee(c, name);
    const page = await firstPage(catalog.list(last ? { after: parseRepositoryName(last) } : {}), isShown, size);
    const lastName = page.items.at(-1);
    if (!page.isLast && lastName) c.header('Link', nextLink('/v2/_catalog', lastName, size));
    return c.json({ repositories: page.items });
  });
