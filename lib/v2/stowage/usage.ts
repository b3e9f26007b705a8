import { Hono } from 'hono';
import { SingleRun } from '../../concurrency/single-run.ts';
import { NOT_CACHED } from '../../http/error-response.ts';
import { RegistryError } from '../../model/errors.ts';
import { parseV1RepositoryName } from '../../model/names.ts';
import type { UsageOverview } from '../../registry/usage/usage.ts';
import type { OperationOptions } from './options.ts';

/**
 * What repositories take up: `GET` answers with what the last run counted, of all of storage or, with `?repository=`, of one;
 * `POST` starts a run, one at a time, and answers with 202.
 */
export const usageRoutes = ({ registry: { usage, runsInBackground }, gate }: OperationOptions) => {
  const runs = new SingleRun<Pick<UsageOverview, 'at' | 'repositories'>>();
  return new Hono()
    .get('/usage', gate.allowOperation, async (c) => {
      const name = c.req.query('repository');
      const stored = name ? await usage.summary(parseV1RepositoryName(name)) : await usage.overview();
      if (!stored && name) throw new RegistryError('NAME_UNKNOWN', `nothing was counted for ${name} yet`);
      return c.json({ run: runs.state, usage: stored ?? null }, 200, NOT_CACHED);
    })
    .post('/usage', gate.allowRun('usage'), (c) => {
      if (!runsInBackground) throw notHere('stowage usage');
      const isStarted = runs.start(async () => {
        const { overview } = await usage.run();
        return { at: overview.at, repositories: overview.repositories };
      });
      return c.json({ isStarted, run: runs.state }, 202);
    });
};

/** For a process that ends with its answer. @param command what does the same elsewhere */
export function notHere(command: string): RegistryError {
  return new RegistryError(
    'UNSUPPORTED',
    `this process runs nothing after its answer: run ${command} on another machine`,
  );
}
