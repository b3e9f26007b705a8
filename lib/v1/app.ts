import { Hono } from 'hono';
import { noSuchEndpoint, refuseTheRest } from '../http/request.ts';
import { imageRoutes } from './images.ts';
import { indexImagesRoutes } from './index-images.ts';
import type { V1Options } from './options.ts';
import { propertyRoutes } from './properties.ts';
import { repositoryRoutes } from './repositories.ts';
import { searchRoutes } from './search.ts';
import { statusRoutes } from './status.ts';
import { tagRoutes } from './tags.ts';
import { userRoutes } from './users.ts';

/** The Docker Registry v1 API of docker-registry 0.9: all routes below `/v1`, and `/_ping` and `/_status`. */
export function createV1(options: V1Options): Hono {
  const index = options.isStandalone ? indexImagesRoutes(options) : undefined;
  const status = statusRoutes(options);
  const routes = new Hono().route('/', status);
  if (options.isStandalone) routes.route('/', userRoutes(options));
  if (options.hasSearch) routes.route('/', searchRoutes(options));
  routes.route('/', imageRoutes(options)).route('/', tagRoutes(options));
  routes.route('/', propertyRoutes(options));
  routes.route('/', index ? index.images : noIndex.images);
  // Last, because the pattern of a repository's name would also match the paths of the routes above.
  routes.route('/', repositoryRoutes(options));
  routes.route('/', index ? index.repository : noIndex.repository);
  return new Hono().route('/', status).route('/v1', refuseTheRest(routes, '/v1'));
}

/** A registry that is not its own index answers 404 for these paths with every method, not 405. */
const noIndex = {
  images: new Hono().all('/repositories/:name/images', noSuchEndpoint).all('/repositories/:name/auth', noSuchEndpoint),
  repository: new Hono().put('/repositories/:name{.+}', noSuchEndpoint),
};
