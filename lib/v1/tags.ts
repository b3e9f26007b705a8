import { type Context, Hono } from 'hono';
import { addToAudit } from '../auth/audit.ts';
import { callerNameOf } from '../auth/request-caller.ts';
import { NOT_CACHED } from '../http/error-response.ts';
import { readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { parseJson } from '../model/json.ts';
import { type ImageId, isImageId, parseV1Tag } from '../model/names.ts';
import { UNKNOWN_METADATA } from '../registry/tags/metadata.ts';
import { unknownTag } from '../registry/tags/tags.ts';
import { imageUnknown } from '../registry/v1-images/images.ts';
import { type Bytes, KiB } from '../streams/bytes.ts';
import { accessOf } from './access.ts';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

const MAX_TAG_BYTES = 4 * KiB;

const TAG_PATH = '/repositories/:name/tags/:tag';
const TAG_JSON_PATH = '/repositories/:name/tags/:tag/json';

export const tagRoutes = ({ registry: { pulls, repositories, tagMetadata, tags, v1Tags }, allow }: V1Options) =>
  new Hono()
    // The tag's metadata. For a tag without any, or that does not exist, docker-registry answered 200 with empty fields.
    .get(TAG_JSON_PATH, allow('pull'), async (c) => {
      const { repository } = c.var;
      return metadataAnswer(c, await tagMetadata.find(repository, parseV1Tag(c.req.param('tag'))));
    })

    .get(TAG_PATH, allow('pull'), async (c) => {
      const { repository } = c.var;
      const tag = parseV1Tag(c.req.param('tag'));
      const resolved = await tags.find(repository, tag);
      const [shown] = await v1Tags.resolve(repository, resolved ? [resolved] : []);
      if (!shown) throw unknownTag(tag);
      if (resolved) await pulls.note(repository, resolved.target.digest, pullerOf(c));
      return answer(c, shown.id);
    })
    .put(TAG_PATH, allow('push'), async (c) => {
      const { repository } = c.var;
      const tag = parseV1Tag(c.req.param('tag'));
      const id = parseTagBody(await readBody(c, MAX_TAG_BYTES, 'the tag'));
      addToAudit(c, { image: id });
      const { reader } = accessOf(c);
      await repositories.tagImage(repository, tag, id, {
        userAgent: c.req.header('User-Agent') ?? '',
        reader,
        by: callerNameOf(c),
      });
      return answer(c, true);
    })
    .delete(TAG_PATH, allow('delete'), async (c) => {
      await repositories.deleteTag(c.var.repository, parseV1Tag(c.req.param('tag')), callerNameOf(c));
      return answer(c, true);
    })

    // After the routes of a tag, because a tag may be called `json` or `tags`.
    .get('/repositories/:name/json', allow('pull'), async (c) =>
      metadataAnswer(c, await tagMetadata.find(c.var.repository)),
    )
    .get('/repositories/:name/tags', allow('pull'), async (c) => {
      const { repository } = c.var;
      const shown = await v1Tags.list(repository);
      if (shown.length === 0) await repositories.checkExists(repository);
      return answer(c, Object.fromEntries(shown.map(({ tag, id }) => [tag, id])));
    })
    .delete('/repositories/:name/tags', allow('delete'), async (c) => {
      await repositories.delete(c.var.repository, callerNameOf(c));
      return answer(c, true);
    });

/** Docker asks for the tag before it pulls the image. */
const pullerOf = (c: Context) => ({ caller: callerNameOf(c), userAgent: c.req.header('User-Agent') ?? '' });

function metadataAnswer(c: Context, stored: Bytes | undefined): Response {
  if (!stored) return answer(c, UNKNOWN_METADATA);
  return c.body(stored, 200, { 'Content-Type': 'application/json', ...NOT_CACHED });
}

/** The image id in the body. @throws RegistryError IMAGE_INVALID if it is not a JSON string; IMAGE_UNKNOWN if it is not an image id */
function parseTagBody(bytes: Uint8Array): ImageId {
  const value = parseJson(bytes);
  if (typeof value !== 'string' || value === '') throw new RegistryError('IMAGE_INVALID', 'Invalid data');
  if (!isImageId(value)) throw imageUnknown();
  return value;
}
