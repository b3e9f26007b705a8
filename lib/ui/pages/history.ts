import type { Context } from 'hono';
import { callerNameOf } from '../../auth/request-caller.ts';
import { RegistryError } from '../../model/errors.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { showTarget, type TagTarget } from '../../registry/tags/target.ts';
import { digestHtml, type Html, html, NOTHING, timeHtml } from '../html/html.ts';
import { digestPath, placeOf, tagPath } from '../html/links.ts';
import { pagingHtml } from '../html/paging.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import type { Change, ChangeEnv } from '../session/changes.ts';
import { formOf } from '../session/forms.ts';
import { outcomePath } from './notice.ts';
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
  const headings = [columns.when, columns.who, columns.from, columns.to, ''];
  return html`${tableHtml(TEXTS.image.tabs.history, headings, rows)}
${pagingHtml({
  first: after === undefined ? undefined : tagPath(repository, tag, { view: 'history' }),
  next: next === undefined ? undefined : tagPath(repository, tag, { view: 'history', after: next }),
})}`;
}

/** What the form of a tag's history changes. @throws RegistryError TAG_INVALID, and those of `placeOf` */
export function restoredTag({ req }: Context): Change {
  const { repository, tag } = placeOf(req.path);
  if (tag === undefined) throw new RegistryError('TAG_INVALID', 'only a tag has a history');
  return { repository, tags: new Set([tag]) };
}

/** Makes a tag name again what a move in its history set it to. */
export async function restoreTag(ui: Ui, c: Context<ChangeEnv>): Promise<Response> {
  const { repository, tags } = c.var.change;
  const { tagRestoration } = ui.registry;
  for (const tag of tags) {
    const plan = await tagRestoration.plan(repository, tag, { entry: formOf(c).get('entry') ?? '' });
    await tagRestoration.restore(repository, plan, callerNameOf(c));
  }
  ui.listings.forget(repository);
  return c.redirect(outcomePath(ui, c, repository, { done: 'restored', tags: [...tags], movedCount: 0 }), 303);
}
