import type { ManifestFacts } from '../../registry/manifests/facts.ts';
import { type Html, html, NOTHING } from '../html/html.ts';
import { TEXTS } from '../html/texts.ts';

const MAX_SHOWN = 6;

/** Platforms as short as they are unambiguous; for anything but an image, what it is. */
export function platformsHtml(facts: ManifestFacts | undefined): Html {
  if (!facts) return html`<span class="chip plain">${TEXTS.repository.v1Image}</span>`;
  if (facts.kind !== 'image' && facts.kind !== 'index')
    return html`<span class="chip plain">${TEXTS.kinds[facts.kind]}</span>`;
  const shown = facts.platforms.slice(0, MAX_SHOWN);
  const more = facts.platforms.length - shown.length;
  return html`${shown.map((platform) => html`<span class="chip" title="${platform}">${platform.replace(/^linux\//, '')}</span>`)}${more > 0 ? html`<span class="muted">+${more}</span>` : NOTHING}`;
}
