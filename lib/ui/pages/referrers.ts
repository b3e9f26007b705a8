import type { Context } from 'hono';
import { accountOf } from '../../auth/request-caller.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { ManifestFacts, ManifestKind } from '../../registry/manifests/facts.ts';
import { type Attached, attachedTo } from '../data/attached.ts';
import type { ImageDetails } from '../data/image-details.ts';
import { holdsSignatures, readSignatures } from '../data/read-signatures.ts';
import { digestHtml, type Html, html, NOTHING, sizeHtml } from '../html/html.ts';
import { digestPath, type PathOf } from '../html/links.ts';
import { pagingHtml } from '../html/paging.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { signaturesHtml } from './signatures.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.image;

/** Rows on a page; more only for an index with many attestations. */
export const PAGE_SIZE = 25;

/** A part of a key, as the next page is named by. */
const POSITION = /^[a-f0-9]{64,128}$/;

/**
 * What refers to a manifest, and its signatures. Storage requests: one for the list, one for each referrer on the page, and
 * those of `readSignatures` and `attachedTo`.
 * @param options.after of the page before; any other text means the first page
 */
export async function referrersHtml(
  ui: Ui,
  c: Context,
  repository: RepositoryName,
  { subject, after, pathOf }: { subject: ImageDetails; after: string | undefined; pathOf: PathOf },
): Promise<Html> {
  const position = after !== undefined && POSITION.test(after) ? after : undefined;
  const { registry } = ui;
  const attached = position === undefined ? await attachedTo(registry, repository, subject) : [];
  const { digests, next } = await registry.referrers.digests(repository, subject.digest, {
    after: position,
    size: Math.max(PAGE_SIZE - attached.length, 1),
  });
  const withFacts = async <T extends { digest: Digest }>(found: T) => {
    const facts = await registry.facts.find(repository, found.digest);
    return facts ? [{ ...found, facts }] : [];
  };
  const found = await mapConcurrently(digests, (digest) => withFacts({ digest }));
  const referrers = found.flat();
  const others = (await mapConcurrently(attached, withFacts)).flat();
  const read = () =>
    readSignatures(registry, repository, {
      subject,
      keys: ui.trustedKeys.filter((key) => key.isFor(repository)),
      now: new Date(),
      referrers: referrers.filter(({ facts }) => holdsSignatures(facts)).map(({ digest }) => digest),
      hasTags: position === undefined,
    });
  const signatures = await ui.signatureReads.run(accountOf(c), read, c.req.raw.signal);
  const { columns } = TEXTS.repository;
  const described: (Attached & { facts: ManifestFacts })[] = [...referrers, ...others];
  const rows = described.map(
    ({ digest, facts, platform }) =>
      html`<tr><th scope="row" class="wide"><a href="${digestPath(repository, digest)}">${digestHtml(digest)}</a></th><td>${kindText(facts.kind, platform)}</td><td class="opt"><code>${facts.artifactType ?? ''}</code></td><td class="num">${sizeHtml(facts.totalBytes)}</td></tr>`,
  );
  if (rows.length === 0 && signatures.signatures.length === 0) {
    return html`<div class="panel empty"><p>${T.noReferrers}</p></div>`;
  }
  const headings = [columns.digest, columns.kind, [T.columns.mediaType, 'opt'], [columns.size, 'num']] as const;
  const table = html`<h2>${T.tabs.referrers}</h2>${tableHtml(T.tabs.referrers, headings, rows)}`;
  return html`${signaturesHtml(repository, subject.digest, signatures)}
${rows.length > 0 ? table : NOTHING}
${pagingHtml({
  first: position === undefined ? undefined : pathOf({ view: 'referrers' }),
  next: next === undefined ? undefined : pathOf({ view: 'referrers', after: next }),
})}`;
}

function kindText(kind: ManifestKind, platform: string | undefined): string {
  return platform === undefined ? TEXTS.kinds[kind] : T.describes(TEXTS.kinds[kind], platform);
}
