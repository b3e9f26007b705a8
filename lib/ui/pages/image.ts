import type { Context } from 'hono';
import { callerNameOf } from '../../auth/request-caller.ts';
import { RegistryError } from '../../model/errors.ts';
import { isJsonWithin } from '../../model/json.ts';
import type { IndexChild } from '../../model/manifest.ts';
import type { Digest, Reference, RepositoryName } from '../../model/names.ts';
import type { ManifestKind } from '../../registry/manifests/facts.ts';
import { decodeText, encodeText, KiB } from '../../streams/bytes.ts';
import { type ImageDetails, imageDetails, runConfig } from '../data/image-details.ts';
import { pullCommands } from '../data/pull-commands.ts';
import { shortDigest } from '../html/format.ts';
import { copyHtml, digestHtml, type Html, html, isRecorded, NOTHING, sizeHtml, timeHtml } from '../html/html.ts';
import { digestPath, placeOf, tagPath } from '../html/links.ts';
import { tabsHtml } from '../html/paging.ts';
import { TEXTS } from '../html/texts.ts';
import type { Change, ChangeEnv } from '../session/changes.ts';
import { formOf } from '../session/forms.ts';
import { documentsHtml } from './documents.ts';
import { historyHtml } from './history.ts';
import { cut, layersHtml, MAX_ROWS, type Sharing } from './layers.ts';
import { outcomePath } from './notice.ts';
import { referrersHtml } from './referrers.ts';
import { crumbsOf } from './repository.ts';
import type { Ui } from './ui.ts';
import { v1Html } from './v1-view.ts';

const T = TEXTS.image;

/** Longer texts are cut on a page: the whole is one request away, by the registry's API. */
const MAX_RAW_CHARACTERS = 256 * KiB;

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
  const pathOf = (query: Record<string, string>) =>
    'tag' in reference ? tagPath(repository, reference.tag, query) : digestPath(repository, reference.digest, query);
  const views: Record<View, () => Html | Promise<Html>> = {
    raw: () => rawHtml(top),
    v1: () => v1Html(ui, c, { repository, reference, digest: top.digest }),
    referrers: () => referrersHtml(ui, c, repository, { subject: top, after: c.req.query('after'), pathOf }),
    history: () => ('tag' in reference ? historyHtml(ui, c, repository, reference.tag) : NOTHING),
  };
  const shownHtml = async () => {
    const pathOfShown = (query: Record<string, string>) => pathOf({ ...(child && { child }), ...query });
    const documents = typeof shown !== 'string' ? { repository, artifact: shown, pathOf: pathOfShown } : undefined;
    return html`${documents ? await documentsHtml(ui, c, documents) : NOTHING}${detailsHtml(repository, shown, { except: top.digest, layers: await ui.registry.usage.sharedLayers(repository) })}`;
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
    pathOf: (query: Record<string, string>) => string;
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
  const urls = URLS.flatMap((name) => labels[name] ?? []).filter(
    (url) => /^https?:\/\//.test(url) && URL.canParse(url),
  );
  if (description === undefined && urls.length === 0) return NOTHING;
  return html`<p><bdi>${cut(description ?? '')}</bdi> ${[...new Set(urls)].map((url) => html`<a href="${url}" rel="noreferrer nofollow">${url}</a> `)}</p>`;
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
  return html`<h2>${T.files}</h2>
<div class="panel" tabindex="0" role="region" aria-label="${T.files}"><table>
<thead><tr><th scope="col">${columns.mediaType}</th><th scope="col" class="num">${columns.size}</th><th scope="col">${columns.digest}</th></tr></thead>
<tbody>${items
    .slice(0, MAX_ROWS)
    .map(
      ({ mediaType, sizeBytes, shown }) =>
        html`<tr><td class="wide"><code>${mediaType}</code></td><td class="num">${sizeHtml(sizeBytes)}</td><td>${shown}</td></tr>`,
    )}</tbody></table></div>${items.length > MAX_ROWS ? html`<p class="muted">${T.more(items.length - MAX_ROWS)}</p>` : NOTHING}`;
}

function runHtml({ config = {} }: ImageDetails): Html {
  const run = runConfig(config);
  const code = (text: string) => html`<code>${cut(text)}</code>`;
  const facts: [string, Html | undefined][] = [
    [T.config.platform, run.platform === undefined ? undefined : html`${run.platform}`],
    [T.config.created, isRecorded(run.createdAt) ? timeHtml(run.createdAt, new Date()) : undefined],
    [T.config.entrypoint, run.entrypoint.length > 0 ? code(run.entrypoint.join(' ')) : undefined],
    [T.config.command, run.command.length > 0 ? code(run.command.join(' ')) : undefined],
    [T.config.user, run.user === undefined ? undefined : code(run.user)],
    [T.config.directory, run.directory === undefined ? undefined : code(run.directory)],
    [T.config.ports, run.ports.length > 0 ? code(run.ports.join(', ')) : undefined],
    [T.config.volumes, run.volumes.length > 0 ? code(run.volumes.join(', ')) : undefined],
    [T.config.author, run.author === undefined ? undefined : html`${cut(run.author)}`],
  ];
  const environment = run.environment.map((line): [string, string] => {
    const at = line.indexOf('=');
    return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
  });
  return html`<h2>${T.runs}</h2><dl class="facts">${facts.map(([name, value]) => (value ? html`<dt>${name}</dt><dd>${value}</dd>` : NOTHING))}</dl>
${pairsHtml(T.environment, environment)}${pairsHtml(T.labels, run.labels)}`;
}

function pairsHtml(title: string, pairs: readonly [string, string][]): Html {
  if (pairs.length === 0) return NOTHING;
  const shown = pairs.slice(0, MAX_ROWS);
  return html`<h2>${title}</h2><dl class="facts">${shown.map(([name, value]) => html`<dt><code>${cut(name)}</code></dt><dd>${cut(value)}</dd>`)}</dl>`;
}

function rawHtml({ bytes, config, digest }: ImageDetails): Html {
  return html`<h2>${T.rawManifest}</h2><p class="muted"><code>${digest}</code></p><div class="panel"><pre tabindex="0">${pretty(decodeText(bytes))}</pre></div>
${config ? html`<h2>${T.rawConfig}</h2><div class="panel"><pre tabindex="0">${pretty(JSON.stringify(config))}</pre></div>` : NOTHING}`;
}

/** JSON of more values, or of deeper ones, is shown as it is: lines with indents would take a hundred times its size. */
const MAX_INDENTED = { maxValues: 20_000, maxDepth: 32 };

/** JSON with line breaks; as it is if it has them. */
function pretty(text: string): string {
  const isShort = !text.includes('\n') && isJsonWithin(encodeText(text), MAX_INDENTED);
  return limited(isShort ? JSON.stringify(JSON.parse(text), null, 2) : text);
}

function limited(text: string): string {
  return text.length > MAX_RAW_CHARACTERS ? `${text.slice(0, MAX_RAW_CHARACTERS)}\n… ${T.tooLarge}` : text;
}

/** What the form of a tag's history changes. @throws RegistryError TAG_INVALID, and those of `placeOf` */
export function restoredTag({ req }: Context): Change {
  const { repository, tag } = placeOf(req.path);
  if (tag === undefined) throw new RegistryError('TAG_INVALID', 'only a tag has a history');
  return { repository, tags: new Set([tag]) };
}

/** Makes a tag name again what a move in its history set it to. */
export async function restoreTag(ui: Ui, c: Context<ChangeEnv>): Promise<Response> {
  const { repository, tags } = c.var.change;
  const { tagRestoration } = ui.registry;
  for (const tag of tags) {
    const plan = await tagRestoration.plan(repository, tag, { entry: formOf(c).get('entry') ?? '' });
    await tagRestoration.restore(repository, plan, callerNameOf(c));
  }
  ui.listings.forget(repository);
  return c.redirect(outcomePath(ui, c, repository, { done: 'restored', tags: [...tags], movedCount: 0 }), 303);
}
