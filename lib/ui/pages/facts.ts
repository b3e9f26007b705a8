import { type Html, html, NOTHING, timeHtml } from '../html/html.ts';

/** A list of facts, without those that are not known. */
export function factsHtml(facts: readonly (readonly [string, Html | string | undefined])[]): Html {
  const shown = facts.filter(([, value]) => value !== undefined);
  if (shown.length === 0) return NOTHING;
  return html`<dl class="facts">${shown.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A text that someone else wrote: a link if it is a URL of the web, else a text. */
export function webLinkHtml(text: string): Html {
  return /^https?:\/\//.test(text) && URL.canParse(text)
    ? html`<a href="${text}" rel="noopener noreferrer nofollow">${text}</a>`
    : html`${text}`;
}

/** A time that a document tells; as it is if it is none. */
export function toldTimeHtml(text: string | undefined): Html | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? html`${text}` : timeHtml(at, new Date());
}
