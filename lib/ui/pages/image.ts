import type { Context } from 'hono';
import { RegistryError } from '../../model/errors.ts';
import type { IndexChild } from '../../model/manifest.ts';
import type { Digest, Reference, RepositoryName } from '../../model/names.ts';
import type { ManifestKind } from '../../registry/manifests/facts.ts';
import { type ImageDetails, imageDetails, runConfig } from '../data/image-details.ts';
import { pullCommands } from '../data/pull-commands.ts';
import { cut, shortDigest } from '../html/format.ts';
import { copyHtml, digestHtml, type Html, html, isRecorded, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { digestPath, type PathOf, tagPath } from '../html/links.ts';
import { tabsHtml } from '../html/paging.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { documentsHtml } from './documents.ts';
import { isWebLink, webLinkHtml } from './facts.ts';
import { historyHtml } from './history.ts';
import { layersHtml, MAX_ROWS, type Sharing } from './layers.ts';
import { rawHtml } from './raw.ts';
import { referrersHtml } from './referrers.ts';
import { crumbsOf } from './repository.ts';
import { pairsHtml, runHtml } from './run-config.ts';
import type { Ui } from './ui.ts';
import { v1Html } from './v1-view.ts';

const T = TEXTS.image;

const VIEWS = ['raw', 'v1', 'referrers', 'history'] as const;
type View = (typeof VIEWS)[number];

/**
 * The page of a manifest: of an image its layers and config, of an index one tab for each platform. Storage requests: those of
 * `Manifests.get`, one for the facts, three for the child and the config that are shown, and one for the layers that tags share.
 */
export async function imagePage(
  ui: Ui,
  c: Context,
  repository: RepositoryName,
  reference: Reference,
): Promise<Response> {
  const { manifests, facts: stored } = ui.registry;
  const manifest = await manifests.get(repository, reference);
  const [top, facts] = await Promise.all([
    imageDetails(ui.registry, repository, manifest),
    stored.find(repository, manifest.digest),
  ]);
  const view = VIEWS.find((known) => known === c.req.query('view'));
  const kind = facts?.kind ?? 'image';
  const child = view === undefined ? chosenChild(top, c.req.query('child')) : undefined;
  const shown = child ? await childDetails(ui, repository, child) : top;
  const name = 'tag' in reference ? `${repository}:${reference.tag}` : `${repository}@${shortDigest(reference.digest)}`;
  const pathOf: PathOf = (query) =>
    'tag' in reference ? tagPath(repository, reference.tag, query) : digestPath(repository, reference.digest, query);
  const views: Record<View, () => Html | Promise<Html>> = {
    raw: () => rawHtml(top),
    v1: () => v1Html(ui, c, { repository, reference, digest: top.digest }),
    referrers: () => referrersHtml(ui, c, repository, { subject: top, after: c.req.query('after'), pathOf }),
    history: () => ('tag' in reference ? historyHtml(ui, c, repository, reference.tag) : NOTHING),
  };
  const shownHtml = async () => {
    const layers = await ui.registry.usage.sharedLayers(repository);
    const details = detailsHtml(repository, shown, { except: top.digest, layers });
    if (typeof shown === 'string') return details;
    const pathOfShown: PathOf = (query) => pathOf({ ...(child && { child }), ...query });
    const documents = await documentsHtml(ui, c, { repository, artifact: shown, pathOf: pathOfShown });
    return html`${documents}${details}`;
  };
  const content = html`<h1>${name}</h1>
<p class="sub"><code>${top.digest}</code> · ${TEXTS.kinds[kind]}${facts ? html` · ${sizeHtml(facts.totalBytes)}` : NOTHING}${isRecorded(facts?.createdAt) ? html` · ${T.built} ${timeHtml(facts.createdAt, new Date())}` : NOTHING}</p>
${descriptionHtml(top)}
${commandsHtml(pullCommands(ui.registryHost(c), repository, reference, kind))}
${tabsHtml(T.tabs.label, [
  ...platformTabs(top, { kind, child, view, pathOf }),
  ...VIEWS.filter((known) => known !== 'history' || 'tag' in reference).map((known) => ({
    text: T.tabs[known],
    path: pathOf({ view: known }),
    isCurrent: known === view,
  })),
])}
${view ? await views[view]() : await shownHtml()}`;
  return await ui.show(c, { title: name, crumbs: crumbsOf(repository, false), content });
}

/** The child of an index that is shown: the chosen one, else the first that is an image. */
function chosenChild({ document: { manifests } }: ImageDetails, chosen: string | undefined): Digest | undefined {
  const found = manifests.find(({ digest }) => digest === chosen) ?? manifests.find((child) => !child.isAttestation);
  return (found ?? manifests[0])?.digest;
}

async function childDetails(ui: Ui, repository: RepositoryName, digest: Digest): Promise<ImageDetails | Digest> {
  try {
    return await imageDetails(ui.registry, repository, await ui.registry.manifests.get(repository, { digest }));
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'MANIFEST_UNKNOWN') return digest; // an index may list what is elsewhere
    throw error;
  }
}

function platformTabs(
  { document: { config, manifests } }: ImageDetails,
  {
    kind,
    child,
    view,
    pathOf,
  }: {
    kind: ManifestKind;
    child: Digest | undefined;
    view: View | undefined;
    pathOf: PathOf;
  },
) {
  if (config !== undefined || manifests.length === 0) {
    const text = kind === 'image' ? T.tabs.image : T.tabs.content;
    return [{ text, path: pathOf({}), isCurrent: view === undefined }];
  }
  return manifests.slice(0, MAX_TABS).map((listed) => ({
    text: childTitle(listed, manifests),
    path: pathOf({ child: listed.digest }),
    isCurrent: listed.digest === child,
  }));
}

/** What a child of an index is called: its platform, or that of the child which it attests. */
function childTitle({ digest, platform, isAttestation, attests }: IndexChild, children: readonly IndexChild[]): string {
  if (!isAttestation) return isKnown(platform) ? platform : shortDigest(digest);
  const attested = children.find((child) => child.digest === attests);
  return isKnown(attested?.platform) ? T.tabs.attestationOf(attested.platform) : T.tabs.attestation;
}

const MAX_TABS = 50;

function isKnown(platform: string | undefined): platform is string {
  return platform !== undefined && !platform.startsWith('unknown/') && !platform.includes('undefined');
}

function commandsHtml([first, ...others]: readonly string[]): Html {
  if (first === undefined) return NOTHING;
  return html`${copyHtml(first)}<details><summary class="muted">${T.otherClients}</summary>${others.map((command) => copyHtml(command))}</details>`;
}

const DESCRIPTION = 'org.opencontainers.image.description';
const URLS = [
  'org.opencontainers.image.url',
  'org.opencontainers.image.source',
  'org.opencontainers.image.documentation',
];

/** The description that annotations or labels give, as plain text; links only to http and https. */
function descriptionHtml({ document: { annotations = {} }, config }: ImageDetails): Html {
  const labels: Record<string, string> = {
    ...Object.fromEntries(config ? runConfig(config).labels : []),
    ...annotations,
  };
  const description = labels[DESCRIPTION];
  const urls = URLS.flatMap((name) => labels[name] ?? []).filter(isWebLink);
  if (description === undefined && urls.length === 0) return NOTHING;
  return html`<p><bdi>${cut(description ?? '')}</bdi> ${[...new Set(urls)].map((url) => html`${webLinkHtml(url)} `)}</p>`;
}

function detailsHtml(repository: RepositoryName, shown: ImageDetails | Digest, sharing: Sharing): Html {
  if (typeof shown === 'string')
    return html`<div class="panel empty"><p>${T.childElsewhere}</p><p><code>${shown}</code></p></div>`;
  const { document, config } = shown;
  const isImage = config !== undefined && (config.rootfs !== undefined || config.config !== undefined);
  return html`<div class="grid"><section>${isImage ? layersHtml(repository, shown, sharing) : filesHtml(repository, shown)}</section><aside>${isImage ? runHtml(shown) : NOTHING}${pairsHtml(T.annotations, Object.entries(document.annotations ?? {}))}</aside></div>`;
}

function filesHtml(repository: RepositoryName, { document: { config, layers, blobs, manifests } }: ImageDetails): Html {
  const { columns } = T;
  const items = [
    ...(config ? layers : blobs).map((blob) => ({ ...blob, shown: digestHtml(blob.digest) })),
    ...manifests.map((child) => ({
      ...child,
      shown: html`<a href="${digestPath(repository, child.digest)}">${digestHtml(child.digest)}</a>`,
    })),
  ];
  if (items.length === 0) return html`<h2>${T.files}</h2><p class="muted">${T.nothing}</p>`;
  const rows = items
    .slice(0, MAX_ROWS)
    .map(
      ({ mediaType, sizeBytes, shown }) =>
        html`<tr><td class="wide"><code>${mediaType}</code></td><td class="num">${sizeHtml(sizeBytes)}</td><td>${shown}</td></tr>`,
    );
  return html`<h2>${T.files}</h2>
${tableHtml(T.files, [columns.mediaType, [columns.size, 'num'], columns.digest], rows)}${items.length > MAX_ROWS ? html`<p class="muted">${T.more(items.length - MAX_ROWS)}</p>` : NOTHING}`;
}
