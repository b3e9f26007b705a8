import { type Digest, hexOf, isImageId } from '../../model/names.ts';
import { type Html, html, sizeHtml } from '../html/html.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.image.v1;
const MAX_SHOWN = 500;

/** How v1 clients see an image: its id, its ancestry and its objects. Two storage requests. */
export async function v1Html(ui: Ui, digest: Digest): Promise<Html> {
  const id = hexOf(digest);
  const ancestry = isImageId(id) ? await ui.registry.images.findAncestry(id) : undefined;
  if (!isImageId(id) || !ancestry) return html`<div class="panel empty"><p>${T.none}</p></div>`;
  const objects = await ui.registry.images.listObjects(id);
  return html`<dl class="facts"><dt>${T.id}</dt><dd><code>${id}</code></dd></dl>
<h2>${T.ancestry}</h2><ol>${ancestry.slice(0, MAX_SHOWN).map((image) => html`<li><code>${image}</code></li>`)}</ol>
<h2>${T.objects}</h2>
<div class="panel" tabindex="0" role="region" aria-label="${T.objects}"><table>
<thead><tr><th scope="col">${T.columns.key}</th><th scope="col" class="num">${T.columns.size}</th></tr></thead>
<tbody>${objects.map(({ key, sizeBytes }) => html`<tr><td class="wide"><code>${key}</code></td><td class="num">${sizeHtml(sizeBytes)}</td></tr>`)}</tbody></table></div>`;
}
