import { Hono } from 'hono';
import { firstPage, nextLink, pageSizeOf } from '../http/paging.ts';
import { RegistryError } from '../model/errors.ts';
import { isV2Tag } from '../model/names.ts';
import type { PullOptions } from './options.ts';

/** The longest beginning of a text that storage takes as a key. */
const PRINTABLE = /^[\x20-\x7e]{0,255}/;

/** A text that storage takes as a key, with the same tags after it as after `last`, which may be any text. */
function positionOf(last: string): string {
  const [beginning = ''] = PRINTABLE.exec(last) ?? [];
  // A tilde follows all characters of tags in ASCII, so it takes the place of any character outside ASCII.
  return last.charCodeAt(beginning.length) > 0x7e ? `${beginning}~` : beginning;
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags */
export const tagRoutes = ({ registry: { repositories, tags }, gate }: PullOptions) =>
  new Hono().get('/:name/tags/list', gate.allow('pull'), async (c) => {
    const name = c.req.param('name');
    const { repository } = c.var;
    const size = pageSizeOf(c);
    const last = positionOf(c.req.query('last') ?? '');
    const page = await firstPage(tags.list(repository, last ? { after: last } : {}), isV2Tag, size);
    if (page.items.length === 0 && !(await repositories.exists(repository))) {
      throw new RegistryError('NAME_UNKNOWN', `repository ${name} is unknown`, { detail: { name } });
    }
    const lastTag = page.items.at(-1);
    if (!page.isLast && lastTag && size) c.header('Link', nextLink(`/v2/${name}/tags/list`, lastTag, size));
    return c.json({ name, tags: page.items });
  });
