import { Hono } from 'hono';
import { parseV1RepositoryName } from '../model/names.ts';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

export const repositoryRoutes = ({ registry: { repositories }, allow }: V1Options) =>
  new Hono().delete('/repositories/:name{.+}', allow('delete'), async (c) => {
    await repositories.delete(parseV1RepositoryName(c.req.param('name')));
    return answer(c, true);
  });
