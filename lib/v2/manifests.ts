import { type Context, Hono } from 'hono';
import { addToAudit } from '../auth/audit.ts';
import { accountOf, callerNameOf } from '../auth/request-caller.ts';
import { locationBaseOf } from '../http/gateway-quirks.ts';
import { preconditionOf } from '../http/preconditions.ts';
import { EMPTY, readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { parseReference, parseTag, type Tag } from '../model/names.ts';
import { MiB } from '../streams/bytes.ts';
import { MANIFEST_PATH } from './manifest-pulls.ts';
import type { V2Options } from './options.ts';

/** The spec requires at least this. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests */
export const MAX_MANIFEST_BYTES = 4 * MiB;

/** The spec requires at least ten. */
export const MAX_TAGS = 100;

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests */
export const manifestRoutes = ({ registry: { manifests, manifestDeletion, quotas }, gate, ...gateway }: V2Options) =>
  new Hono()
    .put(MANIFEST_PATH, gate.allow('push'), async (c) => {
      const name = c.req.param('name');
      const { repository } = c.var;
      const reference = parseReference(c.req.param('reference'));
      await quotas.checkManifest(repository);
      const bytes = await readBody(c, MAX_MANIFEST_BYTES, 'the manifest');
      const contentType = c.req.header('Content-Type')?.split(';')[0]?.trim();
      const tags = furtherTags(c);
      if (tags.length > 0) addToAudit(c, { tags });
      const precondition = preconditionOf(c);
      const { digest, subject } = await manifests.put(repository, reference, bytes, {
        by: callerNameOf(c),
        tags,
        ...(precondition && { precondition: (current) => precondition(current && `"${current}"`) }),
        caller: accountOf(c),
        ...(contentType !== undefined && { contentType }),
      });
      for (const tag of tags) c.header('OCI-Tag', tag, { append: true });
      if (subject) c.header('OCI-Subject', subject);
      return c.body(null, 201, {
        ...EMPTY,
        Location: `${locationBaseOf(c, gateway)}/v2/${name}/manifests/${digest}`,
        'Docker-Content-Digest': digest,
      });
    })

    .delete(MANIFEST_PATH, gate.allow('delete'), async (c) => {
      const { repository } = c.var;
      const reference = parseReference(c.req.param('reference'));
      if ('tag' in reference) await manifestDeletion.deleteTag(repository, reference.tag, callerNameOf(c));
      else {
        const tags = await manifestDeletion.deleteManifest(repository, reference.digest, callerNameOf(c));
        if (tags.length > 0) addToAudit(c, { tags });
      }
      return c.body(null, 202, EMPTY);
    });

/** `tag` parameters of the query: further tags for the manifest. @throws RegistryError TOO_MANY_TAGS, TAG_INVALID */
function furtherTags(c: Context): Tag[] {
  const tags = [...new Set(c.req.queries('tag') ?? [])];
  if (tags.length > MAX_TAGS)
    throw new RegistryError('TOO_MANY_TAGS', `${tags.length} tags in one request, at most ${MAX_TAGS} are allowed`);
  return tags.map(parseTag);
}
