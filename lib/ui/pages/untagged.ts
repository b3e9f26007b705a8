import type { Context } from 'hono';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { ManifestFacts } from '../../registry/manifests/facts.ts';
import type { RepositoryListing } from '../data/repository-listings.ts';
import { unreachedRows } from '../data/tag-rows.ts';
import { digestHtml, type Html, html, isRecorded, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { digestPath, repositoryPath } from '../html/links.ts';
import { pagingHtml, startOf } from '../html/paging.ts';
import { type Column, tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { platformsHtml } from './platforms.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.repository;
const PAGE = 50;

type Row = { digest: Digest; facts: ManifestFacts; subject?: Digest };

/**
 * The manifests to which no tag leads. The storage requests of `IndexChildren.reachedByTags` and `Manifests.list`, one for each
 * artifact on the page, to find what it refers to, and those of `FactsStore.find` for each manifest on it whose facts are missing.
 */
export async function untaggedHtml(
  ui: Ui,
  c: Context,
  { repository, listing, now }: { repository: RepositoryName; listing: RepositoryListing; now: Date },
): Promise<Html> {
  // Facts outlive their manifest until the collector removes them.
  const [reached, manifests] = await Promise.all([
    ui.indexChildren.reachedByTags(repository, listing),
    ui.registry.manifests.list(repository),
  ]);
  const all = await unreachedRows(manifests, { facts: listing.facts, reached: reached.digests });
  const from = startOf(c.req.query('from'));
  const shown = await mapConcurrently(all.slice(from, from + PAGE), async ({ digest, facts: known }) => {
    const facts = known ?? (await ui.registry.facts.find(repository, digest));
    if (!facts) return []; // deleted since it was listed
    const isImage = facts.kind === 'image' || facts.kind === 'index';
    const subject = isImage ? undefined : await subjectOf(ui, repository, digest);
    return [{ digest, facts, ...(subject && { subject }) } satisfies Row];
  });
  const rows: Row[] = shown.flat();
  const unread = reached.unreadCount > 0 ? html`<p class="muted">${T.unreadIndexes(reached.unreadCount)}</p>` : NOTHING;
  if (rows.length === 0) return html`<div class="panel empty"><p>${T.noUntagged}</p></div>${unread}`;
  const tagOf = tagsOf(listing, new Set(rows.flatMap(({ subject }) => subject ?? [])));
  const columns: Column[] = [
    T.columns.digest,
    T.columns.kind,
    [T.columns.platforms, 'opt'],
    [T.columns.size, 'num'],
    [T.columns.built, 'opt'],
  ];
  const nameOf = (subject: Digest) =>
    subjectHtml(repository, subject, { tag: tagOf.get(subject), isReached: reached.digests.has(subject) });
  const rowsHtml = rows.map(
    ({ digest, facts, subject }) =>
      html`<tr><th scope="row" class="wide"><a href="${digestPath(repository, digest)}">${digestHtml(digest)}</a>${subject ? nameOf(subject) : NOTHING}</th><td>${TEXTS.kinds[facts.kind]}</td><td class="opt">${platformsHtml(facts)}</td><td class="num">${sizeHtml(facts.totalBytes)}</td><td class="opt">${isRecorded(facts.createdAt) ? timeHtml(facts.createdAt, now) : html`<span class="muted">–</span>`}</td></tr>`,
  );
  return html`<p class="muted">${T.untaggedNote}</p>${unread}
${tableHtml(T.tabs.untagged, columns, rowsHtml)}
${pagingHtml({
  range: T.range(from + 1, from + rows.length, all.length),
  first: from > 0 ? repositoryPath(repository, { tab: 'untagged' }) : undefined,
  next:
    from + PAGE < all.length ? repositoryPath(repository, { tab: 'untagged', from: String(from + PAGE) }) : undefined,
})}`;
}

function subjectHtml(
  repository: RepositoryName,
  subject: Digest,
  { tag, isReached }: { tag: Tag | undefined; isReached: boolean },
): Html {
  const name = tag === undefined ? digestHtml(subject) : html`<code>${tag}</code>`;
  return html` <span class="muted">${isReached ? T.refersToTagged : T.refersTo}</span> <a href="${digestPath(repository, subject)}">${name}</a>`;
}

async function subjectOf(ui: Ui, repository: RepositoryName, digest: Digest): Promise<Digest | undefined> {
  try {
    return parseManifest((await ui.registry.manifests.get(repository, { digest })).bytes).subject?.digest;
  } catch (error) {
    if (error instanceof RegistryError) return undefined; // deleted since it was listed
    throw error;
  }
}

/** A tag of each of these digests that has one. */
function tagsOf({ tags }: RepositoryListing, digests: ReadonlySet<Digest>): Map<Digest, Tag> {
  return new Map(tags.flatMap(({ tag, digest }) => (digests.has(digest) ? [[digest, tag]] : [])));
}
