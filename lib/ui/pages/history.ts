import type { Context } from 'hono';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { showTarget, type TagTarget } from '../../registry/tags/target.ts';
import { digestHtml, type Html, html, NOTHING, timeHtml } from '../html/html.ts';
import { digestPath, tagPath } from '../html/links.ts';
import { pagingHtml } from '../html/paging.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.image.history;
const PAGE = 50;

/** The moves of a tag, newest first, each with a button that undoes what came after it. */
export async function historyHtml(ui: Ui, c: Context, repository: RepositoryName, tag: Tag): Promise<Html> {
  const after = c.req.query('after');
  const { moves, next } = await ui.registry.history.list(repository, tag, { after, size: PAGE });
  if (moves.length === 0) return html`<div class="panel empty"><p>${T.none}</p></div>`;
  const mayPush = !ui.isReadOnly && ui.gate.may(c, 'push', repository);
  const now = new Date();
  const targetHtml = (target: TagTarget | undefined, otherwise: string): Html =>
    target
      ? html`<a href="${digestPath(repository, target.digest)}">${digestHtml(showTarget(target))}</a>`
      : html`<span class="muted">${otherwise}</span>`;
  const rows = moves.map(({ entry, at, by, from, to }, index) => {
    const isCurrent = index === 0 && after === undefined;
    const restore = html`<form method="post" action="${tagPath(repository, tag)}"><input type="hidden" name="token" value="${mayPush ? ui.sessions.formToken(c) : ''}"><input type="hidden" name="entry" value="${entry}"><button>${T.restore}</button></form>`;
    return html`<tr><th scope="row">${timeHtml(at, now)}</th><td>${by ?? html`<span class="muted">${T.unknown}</span>`}</td><td>${targetHtml(from, '–')}</td><td>${targetHtml(to, T.deleted)}</td><td>${isCurrent ? html`<span class="muted">${T.now}</span>` : to && mayPush ? restore : NOTHING}</td></tr>`;
  });
  const { columns } = T;
  return html`<div class="panel" tabindex="0" role="region" aria-label="${TEXTS.image.tabs.history}"><table>
<thead><tr><th scope="col">${columns.when}</th><th scope="col">${columns.who}</th><th scope="col">${columns.from}</th><th scope="col">${columns.to}</th><td></td></tr></thead>
<tbody>${rows}</tbody></table></div>
${pagingHtml({
  first: after === undefined ? undefined : tagPath(repository, tag, { view: 'history' }),
  next: next === undefined ? undefined : tagPath(repository, tag, { view: 'history', after: next }),
})}`;
}
