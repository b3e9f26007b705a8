import { Hono } from 'hono';
import { refuseTheRest } from '../http/request.ts';
import { blobPulls } from './blob-pulls.ts';
import { manifestPulls } from './manifest-pulls.ts';
import type { PullOptions } from './options.ts';
import { ping } from './ping.ts';
import { tagRoutes } from './tags.ts';

/** A name does not begin with an underscore. */
const PULLS = /^\/v2(?:\/(?:[^_/%].*\/(?:manifests\/[^/]+|blobs\/[^/]+|tags\/list))?)?$/;

/** Whether `createPulls` answers this request as `createV2` does. */
export function isPull({ method, path }: { method: string; path: string }): boolean {
  return (method === 'GET' || method === 'HEAD') && PULLS.test(path);
}

/** The part of v2 by which clients pull: `/v2/`, manifests, blobs, lists of tags. */
export function createPulls(options: PullOptions): Hono {
  const routes = new Hono()
    .route('/', tagRoutes(options))
    .route('/', manifestPulls(options))
    .route('/', blobPulls(options));
  return new Hono().route('/', ping(options.gate)).route('/v2', refuseTheRest(routes, '/v2'));
}
