import type { Context } from 'hono';
import { ACTIONS } from '../../auth/callers/caller.ts';
import { callerOf } from '../../auth/request-caller.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { namespaceOf, type RepositoryName, repositoryPartOf } from '../../model/names.ts';
import { pullCommands } from '../data/pull-commands.ts';
import type { RepositoryListing } from '../data/repository-listings.ts';
import { detailsOf, type RowDetails } from '../data/row-details.ts';
import { TAG_ORDERS, type TagRow } from '../data/tag-rows.ts';
import { copyHtml, type Html, html, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { digestPath, namespacePath, repositoryPath, tagPath } from '../html/links.ts';
import type { Crumb } from '../html/page.ts';
import { pagingHtml, selectHtml, startOf, tabsHtml } from '../html/paging.ts';
import { type Column, tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { noticeHtml, outcomeOf } from './notice.ts';
import { platformsHtml } from './platforms.ts';
import type { Ui } from './ui.ts';
import { untaggedHtml } from './untagged.ts';

const T = TEXTS.repository;
const PAGE = 50;

const TABS = ['tags', 'untagged', 'access'] as const;
type Tab = (typeof TABS)[number];

type Shown = { repository: RepositoryName; listing: RepositoryListing; now: Date };

/**
 * The page of a repository: its tags, manifests without one, or what the caller may do. The storage requests of
 * `RepositoryListings.of`, one for the summary, two where there is no tag, and at most four for each row, or those of
 * `untaggedHtml`.
 */
export async function repositoryPage(ui: Ui, c: Context, repository: RepositoryName): Promise<Response> {
  // The form may have been answered by another process, whose change a listing that is kept here does not show.
  if (outcomeOf(ui, c)) ui.listings.forget(repository);
  const [listing, summary] = await Promise.all([ui.listings.of(repository), ui.registry.usage.summary(repository)]);
  if (listing.tags.length === 0 && !(await ui.registry.repositories.exists(repository))) {
    throw new RegistryError('NAME_UNKNOWN', `there is no repository ${repository}`);
  }
  const now = new Date();
  const tab = TABS.find((known) => known === c.req.query('tab')) ?? 'tags';
  const shown = { repository, listing, now };
  const views: Record<Tab, () => Html | Promise<Html>> = {
    tags: () => tagsHtml(ui, c, shown),
    untagged: () => untaggedHtml(ui, c, shown),
    access: () => accessHtml(ui, c, repository),
  };
  const content = html`<h1>${repository}</h1>
<p class="sub">${T.tags(listing.tags.length)}${summary ? html` · ${sizeHtml(summary.uniqueBytes)} ${TEXTS.repositories.columns.unique.toLowerCase()}, ${sizeHtml(summary.sharedBytes)} ${TEXTS.repositories.columns.shared.toLowerCase()}` : NOTHING}</p>
${noticeHtml(ui, c, repository)}
${tabsHtml(
  T.tabs.label,
  TABS.map((name) => ({
    text: T.tabs[name],
    path: repositoryPath(repository, name === 'tags' ? {} : { tab: name }),
    isCurrent: name === tab,
  })),
)}
${await views[tab]()}`;
  return await ui.show(c, { title: repository, crumbs: crumbsOf(repository), content });
}

/** The way to a repository. @param isLast whether the page is that of the repository itself */
export function crumbsOf(repository: RepositoryName, isLast = true): Crumb[] {
  const namespace = namespaceOf(repository);
  return [
    { text: TEXTS.repositories.title, path: '/ui/' },
    { text: namespace, path: namespacePath(namespace) },
    { text: repositoryPartOf(repository), ...(!isLast && { path: repositoryPath(repository) }) },
  ];
}

async function tagsHtml(ui: Ui, c: Context, { repository, listing, now }: Shown): Promise<Html> {
  const order = TAG_ORDERS.find((known) => known === c.req.query('sort')) ?? 'version';
  const filter = (c.req.query('filter') ?? '').slice(0, 256);
  const from = startOf(c.req.query('from'));
  const { items, total } = await listing.rows.page({ order, filter, from, size: PAGE });
  const details = await mapConcurrently(items, (row) => detailsOf(ui.registry, repository, { row, listing }));
  const mayDelete = !ui.isReadOnly && ui.gate.may(c, 'delete', repository);
  const [first] = items;
  const columns: Column[] = [
    ...(mayDelete ? [''] : []),
    T.columns.tag,
    [T.columns.platforms, 'opt'],
    [T.columns.size, 'num'],
    [T.columns.marks, 'opt'],
    [T.columns.pushed, 'opt'],
  ];
  const rows = items.map((row, index) => rowHtml(ui, { repository, row, details: details[index], mayDelete, now }));
  const query = { filter, sort: order === 'version' ? '' : order };
  return html`${first && from === 0 && filter === '' ? commandHtml(ui, c, repository, first, details[0]) : NOTHING}
<form class="filters" action="${repositoryPath(repository)}" method="get"><input type="search" name="filter" value="${filter}" aria-label="${T.filter.label}" placeholder="${T.filter.placeholder}" data-filter>${selectHtml('sort', { label: T.filter.sort, options: T.sortedBy, chosen: order })}<button>${T.filter.apply}</button></form>
${
  items.length === 0
    ? html`<div class="panel empty"><p>${filter === '' ? T.noTags : T.noneMatch}</p></div>`
    : html`<form action="/ui/delete" method="post">
${mayDelete ? html`<input type="hidden" name="token" value="${ui.sessions.formToken(c)}"><input type="hidden" name="repository" value="${repository}">` : NOTHING}
${tableHtml(T.tabs.tags, columns, rows)}
${mayDelete ? html`<p class="actions"><button class="danger">${T.delete}</button></p>` : NOTHING}
</form>`
}
${pagingHtml({
  ...(total > 0 && { range: T.range(from + 1, from + items.length, total) }),
  first: from > 0 ? repositoryPath(repository, query) : undefined,
  next: from + PAGE < total ? repositoryPath(repository, { ...query, from: String(from + PAGE) }) : undefined,
})}`;
}

function rowHtml(
  ui: Ui,
  {
    repository,
    row,
    details,
    mayDelete,
    now,
  }: {
    repository: RepositoryName;
    row: TagRow;
    details: RowDetails | undefined;
    mayDelete: boolean;
    now: Date;
  },
): Html {
  const [first, ...aliases] = row.tags;
  if (first === undefined) return NOTHING;
  const facts = details?.facts ?? row.facts;
  const isFixed = ui.registry.tags.isImmutable(repository, first);
  return html`<tr data-names="${row.tags.join(' ')}">${mayDelete ? html`<td><input type="checkbox" name="tag" value="${first}" aria-label="${T.select(first)}"></td>` : NOTHING}
<th scope="row" class="wide"><a href="${tagPath(repository, first)}"><code>${first}</code></a>${aliases.length > 0 ? html` <span class="muted">=</span>` : NOTHING}${aliases.map((tag) => html` <a href="${tagPath(repository, tag)}"><code>${tag}</code></a>`)}${row.moreTags > 0 ? html` <a href="${digestPath(repository, row.digest)}" class="muted">${T.moreTags(row.moreTags)}</a>` : NOTHING}${isFixed ? html` <span class="chip plain">${T.immutable}</span>` : NOTHING}</th>
<td class="opt">${platformsHtml(facts)}</td><td class="num">${facts ? sizeHtml(facts.totalBytes) : html`<span class="muted">–</span>`}</td>
<td class="opt">${[...(details?.marks ?? [])].map((kind) => html`<span class="chip plain">${kind in TEXTS.marks ? TEXTS.marks[kind as keyof typeof TEXTS.marks] : TEXTS.kinds[kind]}</span>`)}</td>
<td class="opt">${timeHtml(row.pushedAt, now)}${details?.pushedBy === undefined ? NOTHING : html`<span class="muted"> · ${details.pushedBy}</span>`}</td></tr>`;
}

function commandHtml(
  ui: Ui,
  c: Context,
  repository: RepositoryName,
  { tags: [tag] }: TagRow,
  details: RowDetails | undefined,
): Html {
  if (tag === undefined) return NOTHING;
  const kind = details?.facts?.kind ?? 'image';
  const [command] = pullCommands(ui.registryHost(c), repository, { tag }, kind);
  return command === undefined ? NOTHING : copyHtml(command);
}

function accessHtml(ui: Ui, c: Context, repository: RepositoryName): Html {
  const { access } = TEXTS;
  const caller = callerOf(c);
  const whyOf = (action: (typeof ACTIONS)[number]): string => {
    if (ui.gate.isOpen) return access.open;
    if (caller.kind === 'token') return access.byToken;
    const { rule } = ui.gate.permissions.decide(caller, action, repository);
    return rule === undefined ? access.byNoRule : access.byRule(rule);
  };
  return html`<h2>${access.may}</h2><dl class="facts">${ACTIONS.map(
    (action) =>
      html`<dt>${access.actions[action]}</dt><dd>${ui.gate.may(c, action, repository) ? access.yes : access.no} <span class="muted">(${whyOf(action)})</span></dd>`,
  )}</dl>`;
}
