import type { Context } from 'hono';
import type { RepositoryName } from '../../model/names.ts';
import { KiB } from '../../streams/bytes.ts';
import { type Html, html, NOTHING } from '../html/html.ts';
import { repositoryPath } from '../html/links.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

/** What a form has done, for the page that follows. */
export type Outcome = { done: 'deleted' | 'restored'; tags: string[]; movedCount: number };

/** `tags` are those that can be undone here: none where they do not fit into a URL. */
type Shown = Outcome & { count: number };

/**
 * API Gateway accepts a request line and headers of 10,240 bytes together. A browser that comes from such a page sends its URL once
 * more, in `Referer`. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
 */
const MAX_SEALED_CHARACTERS = 3 * KiB;

/** The page of the repository, with what a form has done. */
export function outcomePath(ui: Ui, c: Context, repository: RepositoryName, outcome: Outcome): string {
  const shown: Shown = { ...outcome, count: outcome.tags.length };
  const sealed = ui.sessions.seal(c, shown);
  const isLong = sealed.length > MAX_SEALED_CHARACTERS;
  return repositoryPath(repository, { outcome: isLong ? ui.sessions.seal(c, { ...shown, tags: [] }) : sealed });
}

/** What the last form has done; undefined on a page that does not follow a form. */
export function outcomeOf(ui: Ui, c: Context): Shown | undefined {
  const sealed = c.req.query('outcome');
  return sealed === undefined ? undefined : (ui.sessions.unseal(c, sealed) as Shown | undefined);
}

/** Tells the outcome of a form, with a way back. */
export function noticeHtml(ui: Ui, c: Context, repository: RepositoryName): Html {
  const outcome = outcomeOf(ui, c);
  if (!outcome) return NOTHING;
  const { done, tags, count, movedCount } = outcome;
  const T = TEXTS.remove;
  const undo = html`<form action="/ui/delete/undo" method="post"><input type="hidden" name="token" value="${ui.sessions.formToken(c)}"><input type="hidden" name="repository" value="${repository}">${tags.map((tag) => html`<input type="hidden" name="tag" value="${tag}">`)}<button>${T.undo}</button></form>`;
  return html`<div class="notice" role="status">${done === 'deleted' ? T.done(count) : T.restored(count)} ${movedCount > 0 ? T.moved(movedCount) : NOTHING} ${done === 'deleted' && tags.length > 0 ? undo : NOTHING}</div>`;
}
