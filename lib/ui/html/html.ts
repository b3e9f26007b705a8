import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import { sizeText } from '../../model/size.ts';
import { agoText, exactBytes, exactTime, shortDigest } from './format.ts';
import { TEXTS } from './texts.ts';

/** A piece of a page. `html` escapes each text that it takes in; it takes in only pieces of this type as they are. */
export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

export { html };

export const NOTHING: Html = html``;

export function sizeHtml(bytes: number): Html {
  return html`<span title="${exactBytes(bytes)}">${sizeText(bytes)}</span>`;
}

export function timeHtml(at: Date, now: Date): Html {
  return html`<time datetime="${at.toISOString()}" title="${exactTime(at)}">${agoText(at, now)}</time>`;
}

/** A time that a build recorded. Reproducible builds record the beginning of a calendar: then there is nothing to show. */
export function isRecorded(at: Date | undefined): at is Date {
  return at !== undefined && at.getUTCFullYear() > 1970;
}

export function digestHtml(digest: string): Html {
  return html`<code title="${digest}">${shortDigest(digest)}</code>`;
}

/** A text for the clipboard. The button works with the script only, so the script shows it. */
export function copyHtml(text: string): Html {
  const { copy } = TEXTS;
  return html`<div class="copy"><code tabindex="0">${text}</code><button type="button" data-copy hidden aria-label="${copy} ${text}">${copy}</button></div>`;
}
