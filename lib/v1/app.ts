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

/** The Docker Registry v1 API as docker-registry 0.9 spoke it: all below `/v1`, and `/_ping`. */
export function createV1(options: V1Options): Hono {
  const index = options.isStandalone ? indexImagesRoutes(options) : undefined;
  const status = statusRoutes(options);
  const routes = new Hono().route('/', status);
  if (options.isStandalone) routes.route('/', userRoutes(options));
  if (options.hasSearch) routes.route('/', searchRoutes(options));
  routes.route('/', imageRoutes(options)).route('/', tagRoutes(options));
  routes.route('/', propertyRoutes(options));
  routes.route('/', index ? index.images : noIndex.images);
  // Whole repositories come last: their names would take in what the routes above put behind a name.
  routes.route('/', repositoryRoutes(options));
  routes.route('/', index ? index.repository : noIndex.repository);
  return new Hono().route('/', status).route('/v1', refuseTheRest(routes, '/v1'));
}

/** To a registry that is not its own index these do not exist, rather than that they take other methods. */
const noIndex = {
  images: new Hono().all('/repositories/:name/images', noSuchEndpoint).all('/repositories/:name/auth', noSuchEndpoint),
  repository: new Hono().put('/repositories/:name{.+}', noSuchEndpoint),
};
