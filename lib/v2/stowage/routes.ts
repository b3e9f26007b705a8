import { Hono } from 'hono';
import { historyRoutes } from './history.ts';
import type { StowageOptions } from './options.ts';

/** What no specification has: routes of Stowage's own, below `/v2/_stowage`. Their errors have the form of v2. */
export const stowageRoutes = (options: StowageOptions) => new Hono().route('/', historyRoutes(options));
