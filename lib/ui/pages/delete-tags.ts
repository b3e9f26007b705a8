import { type Context, Hono } from 'hono';
import { addToAudit } from '../../auth/audit.ts';
import { callerNameOf } from '../../auth/request-caller.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { type Digest, parseV1RepositoryName, parseV1Tag, type RepositoryName, type Tag } from '../../model/names.ts';
import { digestHtml, type Html, html, NOTHING, sizeHtml } from '../html/html.ts';
import { repositoryPath, tagPath } from '../html/links.ts';
import { tableHtml } from '../html/table.ts';
import { TEXTS } from '../html/texts.ts';
import { allowChange, type Change, type ChangeEnv } from '../session/changes.ts';
import { allowForm, formOf } from '../session/forms.ts';
import { type Outcome, outcomePath } from './notice.ts';
import { crumbsOf } from './repository.ts';
import type { Ui } from './ui.ts';

const T = TEXTS.remove;

/** Two pages of the list of tags. */
const MAX_TAGS = 100;

/** Reading the manifests of more tags takes too long for a page. */
export const MAX_READ = 1000;

/** Deletes tags: a plan first, then the deletion of exactly what the plan showed, then a way back. */
export const deletionRoutes = (ui: Ui) =>
  new Hono()
    .post('/ui/delete', allowForm(ui.sessions), async (c) => {
      const { repository, tags } = changeOf(c);
      ui.gate.check(c, 'delete', repository);
      return await ui.show(c, {
        title: T.title,
        crumbs: crumbsOf(repository, false),
        content: await planHtml(ui, c, repository, tags),
      });
    })

    .post('/ui/delete/confirmed', allowForm(ui.sessions), allowChange(ui, 'delete', changeOf), async (c) => {
      const { repository, tags: chosen } = c.var.change;
      const planned = new Map(formOf(c).getAll('planned').map(plannedTag));
      const deleted = await mapConcurrently([...chosen], async (tag) => {
        const now = await ui.registry.tags.find(repository, tag);
        // Only what the plan showed: a tag that has moved since names something else.
        if (!now || now.target.digest !== planned.get(tag)) return [];
        const isDeleted = await ui.registry.manifestDeletion.deleteResolvedTag(repository, now, callerNameOf(c));
        return isDeleted ? [tag] : [];
      });
      return finish(ui, c, 'deleted', deleted.flat());
    })

    .post('/ui/delete/undo', allowForm(ui.sessions), allowChange(ui, 'push', changeOf), async (c) => {
      const { repository, tags: chosen } = c.var.change;
      const { tagRestoration, tags } = ui.registry;
      const restored = await mapConcurrently([...chosen], async (tag) => {
        if (await tags.find(repository, tag)) return []; // pushed again meanwhile
        try {
          const plan = await tagRestoration.plan(repository, tag, 'previous');
          await tagRestoration.restore(repository, plan, callerNameOf(c));
          return [tag];
        } catch (error) {
          if (error instanceof RegistryError) return []; // the collector has removed what it named, or it has moved
          throw error;
        }
      });
      return finish(ui, c, 'restored', restored.flat());
    });

function finish(ui: Ui, c: Context<ChangeEnv>, done: Outcome['done'], tags: Tag[]): Response {
  const { repository, tags: chosen } = c.var.change;
  addToAudit(c, { tags });
  ui.listings.forget(repository);
  return c.redirect(outcomePath(ui, c, repository, { done, tags, movedCount: chosen.size - tags.length }), 303);
}

/** @throws RegistryError NAME_INVALID, TAG_INVALID, TOO_MANY_TAGS */
function changeOf(c: Context): Change {
  const form = formOf(c);
  const repository = parseV1RepositoryName(form.get('repository') ?? '');
  const tags = new Set(form.getAll('tag').map(parseV1Tag));
  if (tags.size > MAX_TAGS) throw new RegistryError('TOO_MANY_TAGS', T.tooMany(MAX_TAGS));
  return { repository, tags };
}

/** A field of the plan: `sha256:… 1.0`. */
function plannedTag(text: string): [Tag, Digest] {
  const at = text.indexOf(' ');
  return [text.slice(at + 1) as Tag, text.slice(0, at) as Digest];
}

async function planHtml(ui: Ui, c: Context, repository: RepositoryName, chosen: ReadonlySet<Tag>): Promise<Html> {
  ui.listings.forget(repository);
  const listing = await ui.listings.of(repository);
  const found = listing.tags.filter(({ tag }) => chosen.has(tag));
  if (found.length === 0) {
    return html`<h1>${T.title}</h1><div class="panel empty"><p>${T.noneChosen}</p><p><a href="${repositoryPath(repository)}">${repository}</a></p></div>`;
  }
  const digests = new Set(found.map(({ digest }) => digest));
  const aliases = listing.tags.filter(({ tag, digest }) => digests.has(digest) && !chosen.has(tag)).slice(0, MAX_TAGS);
  const row = ({ tag, digest }: { tag: Tag; digest: Digest }, isChosen: boolean) => {
    const isFixed = ui.registry.tags.isImmutable(repository, tag);
    return html`<tr><td><input type="checkbox" name="tag" value="${tag}" aria-label="${TEXTS.repository.select(tag)}"${isChosen ? html` checked` : NOTHING}><input type="hidden" name="planned" value="${digest} ${tag}"></td>
<th scope="row" class="wide"><a href="${tagPath(repository, tag)}"><code>${tag}</code></a>${isFixed ? html` <span class="chip plain">${TEXTS.repository.immutable}</span>` : NOTHING}</th><td>${digestHtml(digest)}</td></tr>`;
  };
  const rows = [...found.map((tag) => row(tag, true)), ...aliases.map((tag) => row(tag, false))];
  return html`<h1>${T.question(found.length, repository)}</h1>
<p class="sub">${await freedHtml(ui, repository, chosen, listing.tags.length)}</p>
<form action="/ui/delete/confirmed" method="post">
<input type="hidden" name="token" value="${ui.sessions.formToken(c)}"><input type="hidden" name="repository" value="${repository}">
${tableHtml(T.title, ['', T.columns.tag, T.columns.digest], rows)}
${aliases.length > 0 ? html`<p class="muted">${T.aliases}</p>` : NOTHING}
<p class="actions"><button class="danger">${T.confirm}</button><button formaction="/ui/delete">${T.update}</button><a href="${repositoryPath(repository)}">${T.cancel}</a></p>
</form>`;
}

async function freedHtml(
  ui: Ui,
  repository: RepositoryName,
  chosen: ReadonlySet<Tag>,
  tagCount: number,
): Promise<Html> {
  const usage = tagCount > MAX_READ ? undefined : await ui.registry.usage.ofDeletion(repository, chosen);
  if (!usage) return html`${T.notCounted(MAX_READ)}`;
  const { freedBytes, keepers } = usage;
  const [first, ...more] = keepers;
  return html`${T.frees} ${sizeHtml(freedBytes)}. ${first ? html`<code>${first.tag}</code> ${T.keeps} ${sizeHtml(first.bytes)}${more.length > 0 ? T.andOthers(more.length) : NOTHING}.` : NOTHING}`;
}
