import { Hono } from 'hono';
import type { UsageOverview } from '../../registry/usage/usage.ts';
import { countText } from '../html/format.ts';
import { copyHtml, type Html, html, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { repositoryPath } from '../html/links.ts';
import { type Column, tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.usage;
const SHOWN = 100;

/** What repositories take up, for operators. One storage request. */
export const usageRoutes = (ui: Ui) =>
  new Hono().get('/ui/usage', ui.gate.allowOperation, async (c) => {
    const overview = await ui.registry.usage.overview();
    const content = overview ? overviewHtml(overview) : emptyHtml();
    return await ui.show(c, { title: T.title, content: html`<h1>${T.title}</h1>${content}` });
  });

function emptyHtml(): Html {
  return html`<div class="panel empty"><p>${T.none}</p>${copyHtml('npx stowage usage')}</div>`;
}

function overviewHtml(overview: UsageOverview): Html {
  const { columns } = TEXTS.repositories;
  const parts = [
    [T.parts.unique, overview.uniqueBytes],
    [T.parts.shared, overview.sharedBytes],
    [T.parts.reclaimable, overview.reclaimableBytes],
    [T.parts.kept, overview.keptBytes],
    [T.parts.metadata, overview.metadataBytes],
  ] as const;
  const headings: Column[] = [
    columns.name,
    [columns.tags, 'num'],
    [columns.unique, 'num'],
    [T.share, 'opt'],
    [columns.shared, 'num opt'],
  ];
  const rows = overview.largest
    .slice(0, SHOWN)
    .map(
      ({ repository, tags, uniqueBytes, sharedBytes }) =>
        html`<tr><th scope="row" class="wide"><a href="${repositoryPath(repository)}">${repository}</a></th><td class="num">${countText(tags)}</td><td class="num">${sizeHtml(uniqueBytes)}</td><td class="opt">${overview.uniqueBytes > 0 ? html`<meter min="0" max="${overview.uniqueBytes}" value="${uniqueBytes}" aria-label="${T.share}"></meter>` : NOTHING}</td><td class="num opt">${sizeHtml(sharedBytes)}</td></tr>`,
    );
  return html`<p class="sub">${T.note} ${timeHtml(new Date(overview.at), new Date())}</p>
<dl class="stats">${parts.map(([name, bytes]) => html`<div><dt>${name}</dt><dd>${sizeHtml(bytes)}</dd></div>`)}</dl>
${tableHtml(T.title, headings, rows)}`;
}
