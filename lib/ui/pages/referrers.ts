import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { digestHtml, type Html, html, sizeHtml } from '../html/html.ts';
import { digestPath } from '../html/links.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.image;

/** What refers to a manifest. What a signature or an SBOM claims is not verified. */
export async function referrersHtml(ui: Ui, repository: RepositoryName, subject: Digest): Promise<Html> {
  const digests = await ui.registry.referrers.digests(repository, subject);
  if (digests.length === 0) return html`<div class="panel empty"><p>${T.noReferrers}</p></div>`;
  const rows = await mapConcurrently(digests, async (digest) => {
    const facts = await ui.registry.facts.find(repository, digest);
    if (!facts) return [];
    return [
      html`<tr><th scope="row" class="wide"><a href="${digestPath(repository, digest)}">${digestHtml(digest)}</a></th><td>${TEXTS.kinds[facts.kind]}</td><td class="opt"><code>${facts.artifactType ?? ''}</code></td><td class="num">${sizeHtml(facts.totalBytes)}</td></tr>`,
    ];
  });
  const { columns } = TEXTS.repository;
  return html`<p class="muted">${T.referrerNote}</p><div class="panel" tabindex="0" role="region" aria-label="${T.tabs.referrers}"><table>
<thead><tr><th scope="col">${columns.digest}</th><th scope="col">${columns.kind}</th><th scope="col" class="opt">${T.columns.mediaType}</th><th scope="col" class="num">${columns.size}</th></tr></thead>
<tbody>${rows.flat()}</tbody></table></div>`;
}
