import { Hono } from 'hono';
import { readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { isJsonObject, parseJson } from '../model/json.ts';
import { KiB } from '../streams/bytes.ts';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

const MAX_PROPERTIES_BYTES = 64 * KiB;
const PATH = '/repositories/:name/properties';

/** The property of a repository: whether it is private. */
export const propertyRoutes = ({ registry: { repositories }, allow }: V1Options) =>
  new Hono()
    .get(PATH, allow('pull'), async (c) => {
      const isPrivate = await repositories.isPrivate(c.var.repository);
      return answer(c, { access: isPrivate ? 'private' : 'public' });
    })
    .put(PATH, allow('push'), async (c) => {
      const { repository } = c.var;
      const properties = parseJson(await readBody(c, MAX_PROPERTIES_BYTES, 'the properties'));
      if (!isJsonObject(properties) || !('access' in properties)) {
        throw new RegistryError('INDEX_INVALID', 'Invalid data');
      }
      const { access } = properties;
      // docker-registry ignored other values.
      if (access === 'private' || access === 'public') await repositories.setPrivate(repository, access === 'private');
      return answer(c, true);
    });
