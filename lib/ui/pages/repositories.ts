import { type Context, Hono } from 'hono';
import { isAnonymous } from '../../auth/callers/caller.ts';
import { callerOf } from '../../auth/request-caller.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { namespaceOf, type RepositoryName, repositoryPartOf } from '../../model/names.ts';
import { sizeText } from '../../model/size.ts';
import type { UsageOverview, UsageSummary } from '../../registry/usage/usage.ts';
import { countText } from '../html/format.ts';
import { copyHtml, type Html, html, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { digestSearchPath, namespacePath, queryText, repositoryPath } from '../html/links.ts';
import { pagingHtml, selectHtml, startOf, tabsHtml } from '../html/paging.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.repositories;
const PAGE = 50;
const NAMESPACES = 200;

const ORDERS = ['name', 'size', 'pushed'] as const;
type Order = (typeof ORDERS)[number];

/** What is known of a repository without reading it: its name, and what the last usage run counted. */
type Row = { name: RepositoryName; usage: UsageSummary | undefined };
type Rows = { rows: Row[]; total?: number; next?: Record<string, string> };

/** The repositories that the caller may pull from, all or by a part of their name. */
export const repositoriesRoutes = (ui: Ui) =>
  new Hono().get('/ui/', ui.limitPages, async (c) => {
    const query = (c.req.query('q') ?? '').trim();
    if (/^sha(256|512):/.test(query)) return c.redirect(digestSearchPath(query), 303);
    // Without a right to anything a list would be empty for ever.
    const caller = callerOf(c);
    if (ui.login && isAnonymous(caller) && !ui.gate.permissions.maySomewhere(caller, 'pull')) {
      return c.redirect('/ui/login', 303);
    }
    if (c.req.query('view') === 'namespaces') return await namespacesPage(ui, c);
    const order = ORDERS.find((known) => known === c.req.query('sort')) ?? 'name';
    const namespace = c.req.query('namespace') || undefined;
    const [overview, listed] = await Promise.all([
      ui.registry.usage.overview(),
      query !== ''
        ? searched(ui, c, query)
        : order === 'name' || namespace !== undefined
          ? byName(ui, c, namespace)
          : undefined,
    ]);
    const found = listed ?? byUsage(ui, c, order, overview);
    return ui.show(c, { title: T.title, content: contentOf(ui, c, { query, namespace, order, overview, found }) });
  });

const isFirstPage = (c: Context): boolean => c.req.query('after') === undefined;

/** Storage requests of `Catalog.page`, and one for each row, side by side. */
async function byName(ui: Ui, c: Context, namespace: string | undefined): Promise<Rows> {
  const { names, next } = await ui.listRepositories(c, { size: PAGE, after: c.req.query('after'), namespace });
  const query = namespace === undefined ? {} : { namespace };
  return { rows: await withUsage(ui, names), ...(next !== undefined && { next: { ...query, after: next } }) };
}

/** Storage requests of `Search.find`, and one for each row, side by side. */
async function searched(ui: Ui, c: Context, query: string): Promise<Rows> {
  const page = startOf(c.req.query('page')) || 1;
  const { names, total } = await ui.registry.search.find(query, {
    page,
    size: PAGE,
    isShown: (name) => ui.gate.mayList(c, name),
  });
  return {
    rows: await withUsage(ui, names),
    total,
    ...(page * PAGE < total && { next: { q: query, page: String(page + 1) } }),
  };
}

/** By what the last usage run counted, for as many repositories as its overview holds. */
function byUsage(ui: Ui, c: Context, order: Order, overview: UsageOverview | undefined): Rows {
  const from = startOf(c.req.query('from'));
  const listed = (order === 'size' ? overview?.largest : overview?.latest) ?? [];
  const all = listed.filter(({ repository }) => ui.gate.mayList(c, repository));
  const rows = all.slice(from, from + PAGE).map((usage) => ({ name: usage.repository, usage }));
  return { rows, ...(from + PAGE < all.length && { next: { sort: order, from: String(from + PAGE) } }) };
}

async function withUsage(ui: Ui, names: readonly RepositoryName[]): Promise<Row[]> {
  return await mapConcurrently(names, async (name) => ({ name, usage: await ui.registry.usage.summary(name) }));
}

function contentOf(
  ui: Ui,
  c: Context,
  {
    query,
    namespace,
    order,
    overview,
    found,
  }: {
    query: string;
    namespace: string | undefined;
    order: Order;
    overview: UsageOverview | undefined;
    found: Rows;
  },
): Html {
  const { rows, total, next } = found;
  const host = ui.registryHost(c);
  const now = new Date();
  const isWhole = query === '' && namespace === undefined;
  const first = namespace === undefined ? '/ui/' : namespacePath(namespace);
  return html`<h1>${namespace === undefined ? T.title : T.namespace(namespace)}</h1>
<p class="sub">${query === '' ? host : T.found(total ?? 0, query)}</p>
${overview && isWhole && ui.isOperator(c) ? totalsHtml(overview) : NOTHING}
${query === '' ? viewsHtml(isWhole ? 'all' : undefined) : NOTHING}
${overview && isWhole ? orderForm(order) : NOTHING}
${rows.length === 0 ? emptyHtml(host, isWhole) : repositoriesTable(rows, now)}
${pagingHtml({ first: next || !isFirstPage(c) ? first : undefined, next: next && `/ui/${queryText(next)}` })}
<p class="muted">${overview ? html`${T.counted} ${timeHtml(new Date(overview.at), now)}.` : html`${T.neverCounted} <code>stowage usage</code>.`}</p>`;
}

/** The namespaces with their repositories. Storage requests of `Search.namespaces`. */
async function namespacesPage(ui: Ui, c: Context): Promise<Response> {
  const all = [...(await ui.registry.search.namespaces((name) => ui.gate.mayList(c, name)))];
  const from = startOf(c.req.query('from'));
  const shown = all.slice(from, from + NAMESPACES);
  const rows = shown.map(
    ([name, count]) =>
      html`<tr><th scope="row" class="wide"><a href="${namespacePath(name)}">${name}/</a></th><td class="num">${countText(count)}</td></tr>`,
  );
  const pathFrom = (start: number) => `/ui/${queryText({ view: 'namespaces', from: String(start) })}`;
  const content = html`<h1>${T.views.namespaces}</h1>
${viewsHtml('namespaces')}
${
  shown.length === 0
    ? html`<div class="panel empty"><p>${T.none}</p></div>`
    : tableHtml(T.views.namespaces, [T.columns.namespace, [T.title, 'num']], rows)
}
${pagingHtml({
  ...(shown.length > 0 && { range: TEXTS.repository.range(from + 1, from + shown.length, all.length) }),
  first: from > 0 ? pathFrom(0) : undefined,
  next: from + NAMESPACES < all.length ? pathFrom(from + NAMESPACES) : undefined,
})}`;
  return await ui.show(c, { title: T.views.namespaces, content });
}

function viewsHtml(current: 'all' | 'namespaces' | undefined): Html {
  return tabsHtml(T.views.label, [
    { text: T.views.all, path: '/ui/', isCurrent: current === 'all' },
    { text: T.views.namespaces, path: '/ui/?view=namespaces', isCurrent: current === 'namespaces' },
  ]);
}

function totalsHtml({ repositories, largest, uniqueBytes, sharedBytes, reclaimableBytes }: UsageOverview): Html {
  const tags = largest.length === repositories ? largest.reduce((sum, { tags: own }) => sum + own, 0) : undefined;
  const stats: [string, string][] = [
    [countText(repositories), T.totals.repositories],
    ...(tags === undefined ? [] : [[countText(tags), T.totals.tags] as [string, string]]),
    [sizeText(uniqueBytes + sharedBytes), T.totals.stored],
    [sizeText(reclaimableBytes), T.totals.reclaimable],
  ];
  return html`<dl class="stats">${stats.map(([value, name]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function orderForm(order: Order): Html {
  return html`<form class="filters" action="/ui/" method="get">${selectHtml('sort', { label: TEXTS.repository.filter.sort, options: T.sortedBy, chosen: order })}<button>${TEXTS.repository.filter.apply}</button></form>`;
}

function repositoriesTable(rows: readonly Row[], now: Date): Html {
  const { columns } = T;
  return tableHtml(
    T.title,
    [
      columns.name,
      [columns.tags, 'num'],
      [columns.unique, 'num opt'],
      [columns.shared, 'num opt'],
      [columns.pushed, 'opt'],
    ],
    rows.map((row) => rowHtml(row, now)),
  );
}

function rowHtml({ name, usage }: Row, now: Date): Html {
  const namespace = namespaceOf(name);
  const none = html`<span class="muted">–</span>`;
  return html`<tr><th scope="row" class="wide"><a class="muted" href="${namespacePath(namespace)}">${namespace}/</a><a href="${repositoryPath(name)}">${repositoryPartOf(name)}</a></th>
<td class="num">${usage ? countText(usage.tags) : none}</td><td class="num opt">${usage ? sizeHtml(usage.uniqueBytes) : none}</td><td class="num opt">${usage ? sizeHtml(usage.sharedBytes) : none}</td>
<td class="opt">${usage?.lastPush === undefined ? none : timeHtml(new Date(usage.lastPush), now)}</td></tr>`;
}

function emptyHtml(host: string, isWhole: boolean): Html {
  if (!isWhole) return html`<div class="panel empty"><p>${T.noneFound}</p></div>`;
  return html`<div class="panel empty"><p>${T.none}</p><p>${T.firstPush}</p>${copyHtml(`docker push ${host}/app:1.0`)}</div>`;
}
