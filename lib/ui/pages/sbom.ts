import type { PackagePage, Sbom } from '../data/sbom.ts';
import { type Html, html, NOTHING } from '../html/html.ts';
import type { PathOf } from '../html/links.ts';
import { pagingHtml } from '../html/paging.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { factsHtml, toldTimeHtml } from './facts.ts';

const T = TEXTS.sbom;

/** The packages of an SBOM: a page of them, with a search. @param options.here path of this page */
export function packagesHtml(sbom: Sbom, { page, here }: { page: PackagePage; here: PathOf }): Html {
  const { format, name, tools, createdAt, packages, matchCount, packageCount } = sbom;
  const { filter, from, size } = page;
  const pathFrom = (first: number) => here({ filter, from: first === 0 ? '' : String(first) });
  return html`${factsHtml([
    [T.format, format],
    [T.name, name],
    [T.tools, tools.length > 0 ? tools.join(', ') : undefined],
    [T.created, toldTimeHtml(createdAt)],
  ])}
<h2>${T.packages(packageCount)}</h2>
${packageCount === 0 ? NOTHING : searchHtml(filter, here({}))}
${packages.length > 0 ? packagesTable(packages) : html`<div class="panel empty"><p>${packageCount === 0 ? T.none : T.noneMatch}</p></div>`}
${pagingHtml({
  ...(packages.length > 0 && {
    range: TEXTS.repository.range(from + 1, from + packages.length, matchCount),
  }),
  first: from > 0 ? pathFrom(0) : undefined,
  next: from + size < matchCount ? pathFrom(from + size) : undefined,
})}`;
}

/** A form replaces the query of its path, so the other parameters are fields of it. */
function searchHtml(filter: string, path: string): Html {
  const { pathname, searchParams } = new URL(path, 'http://page');
  const others = [...searchParams].map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`);
  return html`<form class="filters" action="${pathname}" method="get">${others}<input type="search" name="filter" data-filter value="${filter}" placeholder="${T.search.placeholder}" aria-label="${T.search.label}"> <button>${TEXTS.search.button}</button></form>`;
}

function packagesTable(packages: Sbom['packages']): Html {
  const { columns } = T;
  const rows = packages.map(
    ({ name, version = '', type = '', purl = '', licenses = '' }) =>
      html`<tr data-names="${name} ${version}"><th scope="row" class="wrap"${purl === '' ? NOTHING : html` title="${purl}"`}>${name}</th><td class="wrap">${version}</td><td class="opt">${type}</td><td class="wrap">${licenses}</td></tr>`,
  );
  return tableHtml(T.label, [columns.name, columns.version, [columns.type, 'opt'], columns.licenses], rows);
}
