import type { Digest, RepositoryName } from '../../model/names.ts';
import { type SharedLayers, tagsSharing } from '../../registry/usage/shared-layers.ts';
import { KiB } from '../../streams/bytes.ts';
import { buildSteps, type ImageDetails } from '../data/image-details.ts';
import { digestHtml, type Html, html, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { tagPath } from '../html/links.ts';
import { TEXTS } from '../html/texts.ts';

const T = TEXTS.image;

/** Longer texts and lists are cut on a page: the whole is one request away, by the registry's API. */
const MAX_TEXT_CHARACTERS = 4 * KiB;
export const MAX_ROWS = 500;

/** Other tags that a layer names. */
const MAX_TAGS = 3;

/** Which tags share layers, if a usage run has found it. `except`: the manifest that is shown. */
export type Sharing = { layers: SharedLayers | undefined; except: Digest };

/** The layers of an image with the commands that made them, and the other tags that they are in. */
export function layersHtml(repository: RepositoryName, shown: ImageDetails, sharing: Sharing): Html {
  const { columns } = T;
  const steps = buildSteps(shown);
  const rows = steps.slice(0, MAX_ROWS).map(({ command, layer }) => {
    const text =
      command === undefined ? html`<span class="muted">${T.unknownStep}</span>` : html`<code>${cut(command)}</code>`;
    return html`<tr><td${layer ? NOTHING : html` class="muted"`}>${layer ? layer.number : '–'}</td><td class="wide">${text}${layer ? sharedHtml(repository, layer.digest, sharing) : NOTHING}</td><td class="num">${layer ? sizeHtml(layer.sizeBytes) : html`<span class="muted">–</span>`}</td><td class="opt">${layer ? digestHtml(layer.digest) : NOTHING}</td></tr>`;
  });
  const { layers } = sharing;
  return html`<h2>${T.layers}</h2>
<div class="panel" tabindex="0" role="region" aria-label="${T.layers}"><table>
<thead><tr><th scope="col">${columns.number}</th><th scope="col">${columns.madeBy}</th><th scope="col" class="num">${columns.size}</th><th scope="col" class="opt">${columns.digest}</th></tr></thead>
<tbody>${rows}</tbody></table></div>${steps.length > MAX_ROWS ? html`<p class="muted">${T.more(steps.length - MAX_ROWS)}</p>` : NOTHING}
${layers ? html`<p class="muted">${T.sharedFound} ${timeHtml(new Date(layers.at), new Date())}.</p>` : NOTHING}`;
}

function sharedHtml(repository: RepositoryName, layer: Digest, { layers, except }: Sharing): Html {
  const { tags, areAll } = layers ? tagsSharing(layers, layer, { except }) : { tags: [], areAll: true };
  if (tags.length === 0) return NOTHING;
  const links = tags.slice(0, MAX_TAGS).map((tag) => html` <a href="${tagPath(repository, tag)}">${tag}</a>`);
  return html`<br><span class="muted">${T.alsoIn}${links}${areAll && tags.length <= MAX_TAGS ? NOTHING : html` ${T.andOthers}`}</span>`;
}

export function cut(text: string): string {
  return text.length > MAX_TEXT_CHARACTERS ? `${text.slice(0, MAX_TEXT_CHARACTERS)} …` : text;
}
