import type { Provenance } from '../data/provenance.ts';
import { type Html, html, NOTHING } from '../html/html.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { factsHtml, toldTimeHtml, webLinkHtml } from './facts.ts';

const T = TEXTS.provenance;

/** Which builder made an image, and from what. */
export function provenanceHtml(provenance: Provenance): Html {
  const { facts } = T;
  const link = (text: string | undefined) => (text === undefined ? undefined : webLinkHtml(text));
  const code = (text: string | undefined) => (text === undefined ? undefined : html`<code>${text}</code>`);
  return html`${factsHtml([
    [facts.builder, link(provenance.builder)],
    [facts.source, link(provenance.source)],
    [facts.commit, code(provenance.commit)],
    [facts.entryPoint, code(provenance.entryPoint)],
    [facts.buildType, link(provenance.buildType)],
    [facts.platform, provenance.platform],
    [facts.invocation, link(provenance.invocation)],
    [facts.started, toldTimeHtml(provenance.startedAt)],
    [facts.finished, toldTimeHtml(provenance.finishedAt)],
  ])}
${materialsHtml(provenance)}`;
}

function materialsHtml({ materials, materialCount }: Provenance): Html {
  if (materials.length === 0) return html`<p class="muted">${T.noMaterials}</p>`;
  const { columns } = T;
  const rows = materials.map(
    ({ uri, digest = '' }) =>
      html`<tr><th scope="row" class="wide">${webLinkHtml(uri)}</th><td class="opt"><code title="${digest}">${shortened(digest)}</code></td></tr>`,
  );
  return html`<h2>${T.materials}</h2>
${tableHtml(T.materials, [columns.uri, [columns.digest, 'opt']], rows)}${materialCount > materials.length ? html`<p class="muted">${TEXTS.image.more(materialCount - materials.length)}</p>` : NOTHING}`;
}

function shortened(digest: string): string {
  return digest.length > 24 ? `${digest.slice(0, 24)}…` : digest;
}
