import type { Context } from 'hono';
import { accountOf } from '../../auth/request-caller.ts';
import { type Digest, hexOf, type RepositoryName } from '../../model/names.ts';
import { type AttachedDocument, documentsOf, MAX_DOCUMENT_BYTES, readDocument } from '../data/documents.ts';
import type { ImageDetails } from '../data/image-details.ts';
import type { DocumentContent, Subject } from '../data/statement.ts';
import { type Html, html, NOTHING, sizeHtml } from '../html/html.ts';
import { digestPath, type PathOf } from '../html/links.ts';
import { startOf, tabsHtml } from '../html/paging.ts';
import { TEXTS } from '../html/texts.ts';
import { factsHtml, webLinkHtml } from './facts.ts';
import { provenanceHtml } from './provenance.ts';
import { packagesHtml } from './sbom.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.documents;

/** Packages on a page. */
export const PAGE_SIZE = 50;

/**
 * The SBOMs and statements in an artifact: a tab for each, and the content of the chosen one. Two storage requests.
 * @param options.pathOf the page of the artifact, with a query
 */
export async function documentsHtml(
  ui: Ui,
  c: Context,
  { repository, artifact, pathOf }: { repository: RepositoryName; artifact: ImageDetails; pathOf: PathOf },
): Promise<Html> {
  const documents = documentsOf(artifact);
  const number = Number(c.req.query('document') ?? 1);
  const chosen = documents[number - 1] ?? documents[0];
  if (!chosen) return NOTHING;
  const here: PathOf = (query) => pathOf({ ...(chosen !== documents[0] && { document: String(number) }), ...query });
  const tabs = documents.map((document, index) => ({
    text: titleOf(document),
    path: pathOf(index === 0 ? {} : { document: String(index + 1) }),
    isCurrent: document === chosen,
  }));
  return html`<section>${documents.length > 1 ? tabsHtml(T.label, tabs) : html`<h2>${titleOf(chosen)}</h2>`}
${await contentHtml(ui, c, { repository, chosen, here })}
<p class="muted">${T.notVerified} <a href="${digestPath(repository, chosen.digest, { download: '1' })}">${T.download}</a> (${sizeHtml(chosen.sizeBytes)})</p></section>`;
}

async function contentHtml(
  ui: Ui,
  c: Context,
  options: { repository: RepositoryName; chosen: AttachedDocument; here: PathOf },
): Promise<Html> {
  const { repository, chosen, here } = options;
  const filter = (c.req.query('filter') ?? '').trim();
  const from = startOf(c.req.query('from'));
  const page = { filter, from, size: PAGE_SIZE };
  const content = await ui.documentReads.run(
    accountOf(c),
    () => readDocument(ui.registry, { repository, digest: chosen.digest, page }),
    c.req.raw.signal,
  );
  if (typeof content === 'string') {
    const problem = content === 'tooLarge' ? T.tooLarge(MAX_DOCUMENT_BYTES) : T.problems[content];
    return html`<div class="panel empty"><p>${problem}</p></div>`;
  }
  const { sbom, provenance, predicateType } = content;
  if (sbom) return html`${subjectsHtml(content)}${packagesHtml(sbom, { page, here })}`;
  if (provenance) return html`${subjectsHtml(content)}${provenanceHtml(provenance)}`;
  const type = predicateType === undefined ? undefined : webLinkHtml(predicateType);
  return html`<div class="panel empty"><p>${predicateType === undefined ? T.unknown : T.otherStatement}</p>${factsHtml([[T.predicateType, type]])}</div>${subjectsHtml(content)}`;
}

/** What a statement is about. */
function subjectsHtml({ subjects }: DocumentContent): Html {
  if (subjects.length === 0) return NOTHING;
  const textOf = ({ name, digest }: Subject) => html`<li><bdi>${name}</bdi> <code>${digest ?? ''}</code></li>`;
  return html`<details><summary class="muted">${T.subjects(subjects.length)}</summary><ul>${subjects.map(textOf)}</ul></details>`;
}

const TITLES: readonly [RegExp, string][] = [
  [/spdx/, 'SPDX'],
  [/cyclonedx/, 'CycloneDX'],
  [/syft/, 'Syft'],
  [/^https:\/\/slsa\.dev\/provenance\//, T.provenance],
  [/sigstore\.bundle|dsse|in-toto/, T.statement],
];

function titleOf({ type }: AttachedDocument): string {
  return TITLES.find(([pattern]) => pattern.test(type))?.[1] ?? type.slice(0, 80);
}

/** A document as it is, for what no page shows. The repository must hold it. */
export async function documentDownload(
  ui: Ui,
  c: Context,
  repository: RepositoryName,
  digest: Digest,
): Promise<Response> {
  const { blobs } = ui.registry;
  const link = await blobs.stat(repository, digest);
  const url = ui.storageRedirect ? await blobs.presign('GET', link) : undefined;
  if (url) return c.redirect(url.href, 303);
  const body = await ui.limits.download(c, link.sizeBytes, () => blobs.read(link));
  return c.body(body, 200, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(link.sizeBytes),
    'Content-Disposition': `attachment; filename="${hexOf(digest).slice(0, 12)}.json"`,
  });
}
