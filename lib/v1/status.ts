import { hostname } from 'node:os';
import { Hono } from 'hono';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

/**
 * `_ping`, by which Docker finds out whether the host is a v1 registry and its own index; `_status`, for load balancers.
 */
export const statusRoutes = ({ isStandalone, isMirror, debug, flavor = '', version, isReady }: V1Options) =>
  new Hono()
    .get('/_status', async (c) => {
      const isUp = await isReady();
      const failures = isUp ? {} : { storage: 'does not answer' };
      const status = isUp ? 200 : 503;
      return answer(c, { failures, host: hostname(), services: ['storage'] }, { status });
    })
    .get('/_ping', (c) => {
      const standalone = isMirror ? 'mirror' : isStandalone ? 'True' : 'False'; // a Python bool, as clients expect
      const headers = { 'X-Docker-Registry-Standalone': standalone };
      if (!debug) return answer(c, {}, { headers });
      return answer(
        c,
        { versions: { stowage: version, node: process.versions.node } },
        {
          headers: { ...headers, 'X-Docker-Registry-Config': flavor },
        },
      );
    });
