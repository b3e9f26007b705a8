import { Hono } from 'hono';
import { noSuchEndpoint } from '../http.ts';
import type { Registry } from '../registry/registry.ts';
import { imageIndexRoutes } from './image-index.ts';
import { imageRoutes } from './images.ts';
import { repositoryRoutes } from './repositories.ts';
import { statusRoutes } from './status.ts';
import { tagRoutes } from './tags.ts';
import { userRoutes } from './users.ts';

export type V1Options = {
  registry: Registry;
  /** Whether this registry is its own index. */
  isStandalone: boolean;
  isMirror: boolean;
  /** Whether clients fetch layers from storage itself, where storage has URLs. */
  storageRedirect: boolean;
  /** `host[:port]`, comma-separated or a list, where clients find the images; the request's `Host` if absent. */
  registryEndpoints?: string | string[];
  /** What `debug: true` tells everybody who asks. */
  debug?: { version: string; flavor: string };
};

/** The Docker Registry v1 API as docker-registry 0.9 spoke it: all below `/v1`, and `/_ping`. */
export function createV1(options: V1Options): Hono {
  const index = options.isStandalone ? imageIndexRoutes(options) : undefined;
  const status = statusRoutes(options);
  const routes = new Hono().route('/', status);
  if (options.isStandalone) routes.route('/', userRoutes());
  routes.route('/', imageRoutes(options)).route('/', tagRoutes(options));
  if (index) routes.route('/', index.images);
  // Whole repositories come last: their names would take in what the routes above put behind a name.
  routes.route('/', repositoryRoutes(options));
  if (index) routes.route('/', index.repository);
  routes.all('*', noSuchEndpoint);
  return new Hono().route('/', status).route('/v1', routes);
}
