import { type Html, html, NOTHING, timeHtml } from '../html/html.ts';

/** A name with its value; `undefined` if it is not known. */
export type Fact = readonly [name: string | Html, value: string | Html | undefined];

/** A list of facts, without those that are not known. */
export function factsHtml(facts: readonly Fact[]): Html {
  const shown = facts.filter(([, value]) => value !== undefined);
  if (shown.length === 0) return NOTHING;
  return html`<dl class="facts">${shown.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A text of a document: a link if it is a URL of the web, else plain text. */
export function webLinkHtml(text: string): Html {
  return isWebLink(text) ? html`<a href="${text}" rel="noopener noreferrer nofollow">${text}</a>` : html`${text}`;
}

/** Whether a text is a URL of the web, and not one that a browser would run. */
export function isWebLink(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}

/** A time as a document states it; any other text as it is. */
export function toldTimeHtml(text: string | undefined): Html | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? html`${text}` : timeHtml(at, new Date());
}
