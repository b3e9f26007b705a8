import { Hono } from 'hono';
import { allowHeader, refuseTheRest } from '../http/request.ts';
import { blobRoutes } from './blobs.ts';
import { catalogRoutes } from './catalog.ts';
import { manifestRoutes } from './manifests.ts';
import type { V2Options } from './options.ts';
import { referrerRoutes } from './referrers.ts';
import { stowageRoutes } from './stowage/routes.ts';
import { tagRoutes } from './tags.ts';
import { tokenRoutes } from './token.ts';
import { uploadRoutes } from './uploads.ts';

const PING = ['/v2', '/v2/'];

/**
 * The OCI distribution API, `/v2/` and all below it.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
 */
export function createV2(options: V2Options): Hono {
  const { tokenService, gate } = options;
  const routes = new Hono()
    .route('/', tokenService ? tokenRoutes(tokenService, gate) : new Hono())
    .route('/', catalogRoutes(options))
    .route('/_stowage', stowageRoutes(options))
    .route('/', tagRoutes(options))
    .route('/', referrerRoutes(options))
    .route('/', manifestRoutes(options))
    .route('/', uploadRoutes(options))
    .route('/', blobRoutes(options));
  return new Hono()
    .on('GET', PING, gate.requireLogin, (c) => c.json({}))
    .on('OPTIONS', PING, (c) => c.body(null, 204, { Allow: allowHeader(['GET']) }))
    .route('/v2', refuseTheRest(routes, '/v2'));
}
