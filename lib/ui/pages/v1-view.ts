import type { Context } from 'hono';
import type { Key } from '../../model/layout.ts';
import { type Digest, hexOf, type ImageId, isImageId, type Reference, type RepositoryName } from '../../model/names.ts';
import { consoleLink } from '../html/console-link.ts';
import { type Html, html, sizeHtml } from '../html/html.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { factsHtml } from './facts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.image.v1;
const MAX_SHOWN = 500;

/**
 * How v1 clients see an image: its id, its ancestry and its objects, for operators with links to the console. Two storage
 * requests, and one for a tag.
 * @param image.digest of its manifest
 */
export async function v1Html(
  ui: Ui,
  c: Context,
  image: { repository: RepositoryName; reference: Reference; digest: Digest },
): Promise<Html> {
  const id = await idOf(ui, image);
  const ancestry = id && (await ui.registry.images.findAncestry(id));
  if (!id || !ancestry) return html`<div class="panel empty"><p>${T.none}</p></div>`;
  const objects = await ui.registry.images.listObjects(id);
  const bucket = ui.bucketFor(c);
  const keyHtml = (key: Key) => {
    const text = html`<code>${key}</code>`;
    return bucket ? html`<a href="${consoleLink(bucket, key)}" rel="noreferrer">${text}</a>` : text;
  };
  const rows = objects.map(
    ({ key, sizeBytes }) =>
      html`<tr><td class="wide">${keyHtml(key)}</td><td class="num">${sizeHtml(sizeBytes)}</td></tr>`,
  );
  return html`${factsHtml([[T.id, html`<code>${id}</code>`]])}
<h2>${T.ancestry}</h2><ol>${ancestry.slice(0, MAX_SHOWN).map((image) => html`<li><code>${image}</code></li>`)}</ol>
<h2>${T.objects}</h2>
${tableHtml(T.objects, [T.columns.key, [T.columns.size, 'num']], rows)}`;
}

/** What a tag names; a manifest that was made from a v1 image has another digest. Else the id of the manifest's projection. */
async function idOf(
  ui: Ui,
  { repository, reference, digest }: { repository: RepositoryName; reference: Reference; digest: Digest },
): Promise<ImageId | undefined> {
  if ('tag' in reference) return (await ui.registry.tags.find(repository, reference.tag))?.target.imageId;
  const hex = hexOf(digest);
  return isImageId(hex) ? hex : undefined;
}
