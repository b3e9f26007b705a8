import { Hono } from 'hono';
import { fsckRoutes } from './fsck.ts';
import { collectionRoutes } from './gc.ts';
import { historyRoutes } from './history.ts';
import type { StowageOptions } from './options.ts';
import { retentionRoutes } from './retention.ts';
import { usageRoutes } from './usage.ts';

/** What no specification has: routes of Stowage's own, below `/v2/_stowage`. Their errors have the form of v2. */
export const stowageRoutes = (options: StowageOptions) =>
  new Hono()
    .route('/', collectionRoutes(options))
    .route('/', historyRoutes(options))
    .route('/', fsckRoutes(options))
    .route('/', retentionRoutes(options))
    .route('/', usageRoutes(options));
