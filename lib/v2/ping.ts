import { Hono } from 'hono';
import type { Gate } from '../auth/gate.ts';
import { allowHeader } from '../http/request.ts';

const PATHS = ['/v2', '/v2/'];

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support */
export const ping = (gate: Gate) =>
  new Hono()
    .on('GET', PATHS, gate.requireLogin, (c) => c.json({}))
    .on('OPTIONS', PATHS, (c) => c.body(null, 204, { Allow: allowHeader(['GET']) }));
