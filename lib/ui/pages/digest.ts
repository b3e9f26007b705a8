import { Hono } from 'hono';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { parseDigest, type RepositoryName } from '../../model/names.ts';
import { html } from '../html/html.ts';
import { digestPath, digestSearchPath } from '../html/links.ts';
import { pagingHtml } from '../html/paging.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.digest;

/** Repositories that one page looks into: one storage request for a manifest, and one for a blob, of each. */
export const LOOKED_INTO = 100;

/** Which repositories that the caller may read hold a manifest or blob. */
export const digestRoutes = (ui: Ui) =>
  new Hono().get('/ui/digest', ui.limitPages, async (c) => {
    const digest = parseDigest(c.req.query('digest') ?? '');
    const after = c.req.query('after');
    const { names, next } = await ui.listRepositories(c, { size: LOOKED_INTO, after });
    const holds = async (name: RepositoryName) => {
      const [isManifest, blob] = await Promise.all([
        ui.registry.manifests.has(name, digest),
        ui.registry.blobs.find(name, digest),
      ]);
      return isManifest ? { name, path: digestPath(name, digest) } : blob ? { name } : undefined;
    };
    const found = (await mapConcurrently(names, holds)).filter((place) => place !== undefined);
    const list = html`<ul>${found.map(({ name, path }) =>
      path === undefined
        ? html`<li>${name} <span class="muted">${T.asBlob}</span></li>`
        : html`<li><a href="${path}">${name}</a></li>`,
    )}</ul>`;
    return await ui.show(c, {
      title: T.title,
      content: html`<h1>${T.title}</h1><p class="sub"><code>${digest}</code></p>
<p>${found.length > 0 ? T.found(found.length) : T.none}</p>${found.length > 0 ? list : ''}
${pagingHtml({
  ...(next !== undefined && { range: T.lookedInto(names.length) }),
  first: after === undefined ? undefined : digestSearchPath(digest),
  next: next === undefined ? undefined : digestSearchPath(digest, { after: next }),
})}`,
    });
  });
