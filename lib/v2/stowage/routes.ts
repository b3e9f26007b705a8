import { Hono } from 'hono';
import { historyRoutes } from './history.ts';
import { operationRoutes } from './operations.ts';
import type { StowageOptions } from './options.ts';
import { retentionRoutes } from './retention.ts';

/** What no specification has: routes of Stowage's own, below `/v2/_stowage`. Their errors have the form of v2. */
export const stowageRoutes = (options: StowageOptions) =>
  new Hono()
    .route('/', operationRoutes(options))
    .route('/', historyRoutes(options))
    .route('/', retentionRoutes(options));
