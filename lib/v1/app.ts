import { Hono, type MiddlewareHandler } from 'hono';
import { noSuchEndpoint, refuseTheRest } from '../http.ts';
import type { Registry } from '../registry/registry.ts';
import { imageRoutes } from './images.ts';
import { indexImagesRoutes } from './index-images.ts';
import { propertyRoutes } from './properties.ts';
import { repositoryRoutes } from './repositories.ts';
import { searchRoutes } from './search.ts';
import { statusRoutes } from './status.ts';
import { tagRoutes } from './tags.ts';
import { userRoutes } from './users.ts';

export type V1Options = {
  registry: Registry;
  /** Whether this registry is its own index. */
  isStandalone: boolean;
  /** Lets a request through or refuses it. */
  allow: MiddlewareHandler;
  /** Whether `search` is there. */
  hasSearch: boolean;
  isMirror: boolean;
  /** Whether clients fetch layers from storage itself, where storage has URLs. */
  storageRedirect: boolean;
  /** Where nginx, in front of us, finds the files of storage; it then sends layers itself. */
  nginxRedirect?: string;
  /** Whether storage answers. */
  isReady: () => Promise<boolean>;
  /** `host[:port]`, comma-separated or a list, where clients find the images; the request's `Host` if absent. */
  registryEndpoints?: string | string[];
  /** What `debug: true` tells everybody who asks. */
  debug?: { version: string; flavor: string };
};

/** The Docker Registry v1 API as docker-registry 0.9 spoke it: all below `/v1`, and `/_ping`. */
export function createV1(options: V1Options): Hono {
  const index = options.isStandalone ? indexImagesRoutes(options) : undefined;
  const status = statusRoutes(options);
  const routes = new Hono().route('/', status);
  if (options.isStandalone) routes.route('/', userRoutes());
  if (options.hasSearch) routes.route('/', searchRoutes(options.registry));
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
  images: new Hono()
    .all('/repositories/:name{.+}/images', noSuchEndpoint)
    .all('/repositories/:name{.+}/auth', noSuchEndpoint),
  repository: new Hono().put('/repositories/:name{.+}', noSuchEndpoint),
};
