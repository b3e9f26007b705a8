import type { Context } from 'hono';
import type { RepositoryName } from '../../model/names.ts';
import { type Html, html, NOTHING } from '../html/html.ts';
import { repositoryPath } from '../html/links.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

/** What a form has done, for the page that follows. */
export type Outcome = { done: 'deleted' | 'restored'; tags: string[]; movedCount: number };

/** The page of the repository, with what a form has done. */
export function outcomePath(ui: Ui, c: Context, repository: RepositoryName, outcome: Outcome): string {
  return repositoryPath(repository, { outcome: ui.sessions.seal(c, outcome) });
}

/** What the last form has done, with a way back. */
export function noticeHtml(ui: Ui, c: Context, repository: RepositoryName): Html {
  const sealed = c.req.query('outcome');
  const outcome = (sealed === undefined ? undefined : ui.sessions.unseal(c, sealed)) as Outcome | undefined;
  if (!outcome) return NOTHING;
  const { done, tags, movedCount } = outcome;
  const T = TEXTS.remove;
  const undo = html`<form action="/ui/delete/undo" method="post"><input type="hidden" name="token" value="${ui.sessions.formToken(c)}"><input type="hidden" name="repository" value="${repository}">${tags.map((tag) => html`<input type="hidden" name="tag" value="${tag}">`)}<button>${T.undo}</button></form>`;
  return html`<div class="notice" role="status">${done === 'deleted' ? T.done(tags.length) : T.restored(tags.length)} ${movedCount > 0 ? T.moved(movedCount) : NOTHING} ${done === 'deleted' && tags.length > 0 ? undo : NOTHING}</div>`;
}
