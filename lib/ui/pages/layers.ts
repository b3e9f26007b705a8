import type { Digest, RepositoryName } from '../../model/names.ts';
import { type SharedLayers, tagsSharing } from '../../registry/usage/shared-layers.ts';
import { buildSteps, type ImageDetails } from '../data/image-details.ts';
import { cut } from '../html/format.ts';
import { digestHtml, type Html, html, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { tagPath } from '../html/links.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';

const T = TEXTS.image;

/** Rows of a table or list on a page; the rest of a longer one is one request away, by the registry's API. */
export const MAX_ROWS = 500;

/** Other tags that are named beside a layer. */
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
  const headings = [columns.number, columns.madeBy, [columns.size, 'num'], [columns.digest, 'opt']] as const;
  return html`<h2>${T.layers}</h2>
${tableHtml(T.layers, headings, rows)}${steps.length > MAX_ROWS ? html`<p class="muted">${T.more(steps.length - MAX_ROWS)}</p>` : NOTHING}
${layers ? html`<p class="muted">${T.sharedFound} ${timeHtml(new Date(layers.at), new Date())}.</p>` : NOTHING}`;
}

function sharedHtml(repository: RepositoryName, layer: Digest, { layers, except }: Sharing): Html {
  const { tags, areAll } = layers ? tagsSharing(layers, layer, { except }) : { tags: [], areAll: true };
  if (tags.length === 0) return NOTHING;
  const links = tags.slice(0, MAX_TAGS).map((tag) => html` <a href="${tagPath(repository, tag)}">${tag}</a>`);
  return html`<br><span class="muted">${T.alsoIn}${links}${areAll && tags.length <= MAX_TAGS ? NOTHING : html` ${T.andOthers}`}</span>`;
}
