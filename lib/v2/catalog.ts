import { Hono } from 'hono';
import { CatalogCursors } from '../http/catalog-cursor.ts';
import { nextLink, pageSizeOf } from '../http/paging.ts';
import { isV2Name, parseRepositoryName } from '../model/names.ts';
import type { V2Options } from './options.ts';

export const DEFAULT_PAGE = 1000;

/** The longest beginning of a text that storage takes as a key. */
const PRINTABLE = /^[\x20-\x7e]{0,255}/;

/** @see https://distribution.github.io/distribution/spec/api/#catalog */
export const catalogRoutes = ({ registry: { catalog }, gate, keys }: V2Options) => {
  const cursors = new CatalogCursors(keys.accepted('catalog cursor'));

  return new Hono().get('/_catalog', gate.allowCatalog, async (c) => {
    const size = pageSizeOf(c) ?? DEFAULT_PAGE;
    const last = c.req.query('last');
    const after = last && (cursors.open(last) ?? nameOrText(last));
    const { names, next } = await catalog.page({
      size,
      ...(after && { after }),
      maySeeIn: (namespace) => gate.mayListIn(c, namespace),
      isShown: (name) => isV2Name(name) && gate.mayList(c, name),
    });
    if (next !== undefined) {
      c.header('Link', nextLink('/v2/_catalog', next === names.at(-1) ? next : cursors.seal(next), size));
    }
    return c.json({ repositories: names });
  });
};

/** `last` as a position in the list: `app` means `library/app`; any other text is compared as it is. */
function nameOrText(last: string): string {
  try {
    return parseRepositoryName(last);
  } catch {
    return PRINTABLE.exec(last)?.[0] ?? '';
  }
}
