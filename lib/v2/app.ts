import { Hono } from 'hono';
import { refuseTheRest } from '../http/request.ts';
import { blobPulls } from './blob-pulls.ts';
import { blobRoutes } from './blobs.ts';
import { catalogRoutes } from './catalog.ts';
import { manifestPulls } from './manifest-pulls.ts';
import { manifestRoutes } from './manifests.ts';
import type { V2Options } from './options.ts';
import { ping } from './ping.ts';
import { referrerRoutes } from './referrers.ts';
import { stowageRoutes } from './stowage/routes.ts';
import { tagRoutes } from './tags.ts';
import { tokenRoutes } from './token.ts';
import { uploadRoutes } from './uploads.ts';

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
    .route('/', manifestPulls(options))
    .route('/', manifestRoutes(options))
    .route('/', uploadRoutes(options))
    .route('/', blobPulls(options))
    .route('/', blobRoutes(options));
  return new Hono().route('/', ping(gate)).route('/v2', refuseTheRest(routes, '/v2'));
}
