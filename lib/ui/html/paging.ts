import { type Html, html, NOTHING } from './html.ts';
import { TEXTS } from './texts.ts';

/** Links below a list. @param next path of the next page; undefined on the last one */
export function pagingHtml(options: { range?: string; first: string | undefined; next: string | undefined }): Html {
  const { range, first, next } = options;
  if (range === undefined && first === undefined && next === undefined) return NOTHING;
  return html`<nav class="actions muted" aria-label="${TEXTS.paging.label}">${range === undefined ? NOTHING : html`<span>${range}</span>`}
${first === undefined ? NOTHING : html`<a href="${first}">${TEXTS.paging.first}</a>`}
${next === undefined ? NOTHING : html`<a rel="next" href="${next}">${TEXTS.paging.next}</a>`}</nav>`;
}

/** Number of rows before a page, from its query. */
export function startOf(text: string | undefined): number {
  return /^\d{1,7}$/.test(text ?? '') ? Number(text) : 0;
}

/** A choice among views of the same thing. */
export function tabsHtml(label: string, tabs: readonly { text: string; path: string; isCurrent: boolean }[]): Html {
  return html`<nav class="tabs" aria-label="${label}"><ul>${tabs.map(
    ({ text, path, isCurrent }) =>
      html`<li><a href="${path}"${isCurrent ? html` aria-current="page"` : NOTHING}>${text}</a></li>`,
  )}</ul></nav>`;
}

/** A list to choose from, in a form. */
export function selectHtml(
  name: string,
  { label, options, chosen }: { label: string; options: Readonly<Record<string, string>>; chosen: string },
): Html {
  return html`<select name="${name}" aria-label="${label}">${Object.entries(options).map(
    ([value, text]) => html`<option value="${value}"${value === chosen ? html` selected` : NOTHING}>${text}</option>`,
  )}</select>`;
}
