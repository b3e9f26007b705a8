import { Hono } from 'hono';
import { RegistryError } from '../model/errors.ts';
import { isV2Tag } from '../model/names.ts';
import type { V2Options } from './options.ts';
import { firstPage, nextLink, pageSizeOf } from './paging.ts';

/** What storage takes as the beginning of a key. */
const PRINTABLE = /^[\x20-\x7e]{0,255}/;

/** Any text is a place in the order of tags: one that storage takes, with the same tags behind it. */
function placeOf(last: string): string {
  const [beginning = ''] = PRINTABLE.exec(last) ?? [];
  // No tag has a tilde, so it stands for all that comes behind the characters of tags.
  return last.charCodeAt(beginning.length) > 0x7e ? `${beginning}~` : beginning;
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags */
export const tagRoutes = ({ registry: { repositories, tags }, gate }: V2Options) =>
  new Hono().get('/:name/tags/list', gate.allow('pull'), async (c) => {
    const name = c.req.param('name');
    const { repository } = c.var;
    const size = pageSizeOf(c);
    const last = placeOf(c.req.query('last') ?? '');
    const page = await firstPage(tags.list(repository, last ? { after: last } : {}), isV2Tag, size);
    if (page.items.length === 0 && !(await repositories.exists(repository))) {
      throw new RegistryError('NAME_UNKNOWN', `repository ${name} is unknown`, { detail: { name } });
    }
    const lastTag = page.items.at(-1);
    if (!page.isLast && lastTag && size) c.header('Link', nextLink(`/v2/${name}/tags/list`, lastTag, size));
    return c.json({ name, tags: page.items });
  });
