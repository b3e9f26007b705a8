import { Hono } from 'hono';
import { parseRepositoryName } from '../names.ts';
import { answer } from './answers.ts';
import type { V1Options } from './app.ts';

export const repositoryRoutes = ({ registry: { repositories } }: V1Options) =>
  new Hono().delete('/repositories/:name{.+}', async (c) => {
    await repositories.delete(parseRepositoryName(c.req.param('name').replace(/\/+$/, '')));
    return answer(c, true);
  });
