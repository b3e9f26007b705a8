import { type Context, Hono } from 'hono';
import type { RepositoryEnv } from '../auth/gate.ts';
import { NOT_CACHED } from '../http/error-response.ts';
import { readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { MAX_INDEX_BYTES } from '../registry/tags/index-images.ts';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';
import { tokenHeaders } from './token.ts';

/** The index API of v1, which Docker Hub served for other registries. A standalone registry is its own index. */
export const indexImagesRoutes = (options: V1Options) => {
  const { allow } = options;
  const { indexImages, quotas, v1Tags } = options.registry;

  const announce = async (c: Context<RepositoryEnv>) => {
    const { repository } = c.var;
    await indexImages.announce(repository, await readBody(c, MAX_INDEX_BYTES, 'the index images'));
    return await tokenHeaders(c, options, repository, 'write');
  };

  return {
    images: new Hono()
      .get('/repositories/:name/images', allow('pull'), async (c) => {
        const { repository } = c.var;
        const bytes = await v1Tags.findIndexImages(repository);
        if (!bytes) throw new RegistryError('INDEX_UNKNOWN', 'images not found');
        return c.body(bytes, 200, {
          'Content-Type': 'application/json',
          ...NOT_CACHED,
          ...(await tokenHeaders(c, options, repository, 'read')),
        });
      })
      .put('/repositories/:name/images', allow('push'), async (c) => c.body(null, 204, await announce(c)))
      .delete('/repositories/:name/images', allow('delete'), async (c) => {
        const { repository } = c.var;
        return c.body(null, 204, await tokenHeaders(c, options, repository, 'delete'));
      })
      .put('/repositories/:name/auth', allow('pull'), (c) => answer(c, 'OK')),

    /** The name alone, with or without a final slash. Mounted after the routes that continue after the name. */
    repository: new Hono().put('/repositories/:name{.+}', allow('push'), async (c) => {
      // The push begins here; the requests for its layers name no repository.
      await quotas.checkUpload(c.var.repository);
      const headers = await announce(c);
      return answer(c, '', { headers });
    }),
  };
};
