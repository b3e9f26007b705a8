import { Hono } from 'hono';
import { KiB, readAtMost } from '../bytes.ts';
import { RegistryError } from '../errors.ts';
import { bodyOf } from '../http.ts';
import { parseJson } from '../json.ts';
import { hexOf, type ImageId, isImageId, parseRepositoryName, parseTag } from '../names.ts';
import { type TagTarget, unknownTag } from '../registry/tags.ts';
import { answer } from './answers.ts';
import type { V1Options } from './app.ts';

const MAX_TAG_BYTES = 4 * KiB;

const TAG_PATH = '/repositories/:name{.+}/tags/:tag{[^/]+}';

export const tagRoutes = ({ registry: { repositories, tags } }: V1Options) =>
  new Hono()
    .get('/repositories/:name{.+}/tags', async (c) => {
      const repository = parseRepositoryName(c.req.param('name'));
      const resolved = await tags.resolveAll(repository);
      if (resolved.length === 0) await repositories.checkExists(repository);
      return answer(c, Object.fromEntries(resolved.map(({ tag, target }) => [tag, idOf(target)])));
    })
    .delete('/repositories/:name{.+}/tags', async (c) => {
      await repositories.delete(parseRepositoryName(c.req.param('name')));
      return answer(c, true);
    })

    .get(TAG_PATH, async (c) => {
      const tag = parseTag(c.req.param('tag'));
      const resolved = await tags.find(parseRepositoryName(c.req.param('name')), tag);
      if (!resolved) throw unknownTag(tag);
      return answer(c, idOf(resolved.target));
    })
    .put(TAG_PATH, async (c) => {
      const repository = parseRepositoryName(c.req.param('name'));
      const tag = parseTag(c.req.param('tag'));
      const id = parseTagBody(await readAtMost(bodyOf(c), MAX_TAG_BYTES, 'the tag'));
      await repositories.tagImage(repository, tag, id, c.req.header('User-Agent') ?? '');
      return answer(c, true);
    })
    .delete(TAG_PATH, async (c) => {
      await repositories.deleteTag(parseRepositoryName(c.req.param('name')), parseTag(c.req.param('tag')));
      return answer(c, true);
    });

/** A manifest's hex digits are the id of its image for v1. */
function idOf({ imageId, digest }: TagTarget): string {
  return imageId ?? hexOf(digest);
}

/** @throws RegistryError IMAGE_INVALID if it is no JSON string; IMAGE_UNKNOWN if that can be no image's id */
function parseTagBody(bytes: Uint8Array): ImageId {
  const value = parseJson(bytes);
  if (typeof value !== 'string' || value === '') throw new RegistryError('IMAGE_INVALID', 'Invalid data');
  if (!isImageId(value)) throw new RegistryError('IMAGE_UNKNOWN', 'Image not found');
  return value;
}
