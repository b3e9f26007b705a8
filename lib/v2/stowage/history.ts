import { type Context, Hono } from 'hono';
import { addToAudit } from '../../auth/audit.ts';
import { callerNameOf } from '../../auth/request-caller.ts';
import { NOT_CACHED } from '../../http/error-response.ts';
import { locationBaseOf } from '../../http/gateway-quirks.ts';
import { nextLink, pageSizeOf } from '../../http/paging.ts';
import { readBody } from '../../http/request.ts';
import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { parseV1Tag, type Tag } from '../../model/names.ts';
import type { RestoreChoice } from '../../registry/history/restore-tag.ts';
import { jsonOfMove } from '../../registry/history/tag-history.ts';
import { parseShownTarget, showTarget } from '../../registry/tags/target.ts';
import { KiB } from '../../streams/bytes.ts';
import type { StowageOptions } from './options.ts';

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1000;
const MAX_BODY_BYTES = 4 * KiB;

const PATH = '/history/:name';

/**
 * The history of a tag: `GET ?tag=` lists its moves, newest first, in pages by `n` and `last`. `POST ?tag=` makes the tag name
 * again what a move set it to (`{"entry"}`), a digest (`{"digest"}`), what it named at a time (`{"at"}`), or without a body what
 * it named before.
 */
export const historyRoutes = ({ registry: { history, tagRestoration }, gate, ...gateway }: StowageOptions) =>
  new Hono()
    .get(PATH, gate.allow('pull'), async (c) => {
      const name = c.req.param('name');
      const tag = tagOf(c);
      const size = Math.min(pageSizeOf(c) ?? DEFAULT_PAGE, MAX_PAGE);
      const { moves, next } = await history.list(c.var.repository, tag, {
        size,
        after: c.req.query('last') || undefined,
      });
      if (next !== undefined) c.header('Link', nextLink(`/v2/_stowage/history/${name}`, next, size, { tag }));
      return c.json({ name, tag, moves: moves.map(jsonOfMove) }, 200, NOT_CACHED);
    })

    .post(PATH, gate.allow('push'), async (c) => {
      const name = c.req.param('name');
      const { repository } = c.var;
      const tag = tagOf(c);
      addToAudit(c, { tags: [tag] });
      const choice = parseChoice(await readBody(c, MAX_BODY_BYTES, 'the choice'));
      const plan = await tagRestoration.plan(repository, tag, choice);
      const kind = await tagRestoration.restore(repository, plan, callerNameOf(c));
      const { before, to } = plan;
      // The digest of a v1 image's conversion is not known before a v2 client pulls it.
      if (kind === 'manifest') c.header('Docker-Content-Digest', to.digest);
      const reference = kind === 'manifest' ? to.digest : tag;
      const from = before ? showTarget(before.target) : null;
      return c.json({ name, tag, from, to: showTarget(to) }, 201, {
        Location: `${locationBaseOf(c, gateway)}/v2/${name}/manifests/${reference}`,
      });
    });

/** @throws RegistryError TAG_INVALID */
function tagOf(c: Context): Tag {
  return parseV1Tag(c.req.query('tag') ?? '');
}

/** @throws RegistryError MANIFEST_INVALID, DIGEST_INVALID */
function parseChoice(bytes: Uint8Array): RestoreChoice {
  if (bytes.length === 0) return 'previous';
  const value = parseJson(bytes);
  const { digest, entry, at } = isJsonObject(value) ? value : {};
  if (typeof digest === 'string') return { digest: parseShownTarget(digest) };
  if (typeof entry === 'string') return { entry };
  const time = typeof at === 'string' ? new Date(at) : undefined;
  if (time && !Number.isNaN(time.getTime())) return { at: time };
  throw new RegistryError(
    'MANIFEST_INVALID',
    'the body is {"digest": "sha256:…"}, {"entry": "…"} or {"at": "2026-01-31T12:00:00Z"}, or empty',
  );
}
