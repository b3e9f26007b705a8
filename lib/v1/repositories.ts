import { Hono } from 'hono';
import { callerNameOf } from '../auth/request-caller.ts';
import { answer } from './answers.ts';
import type { V1Options } from './options.ts';

export const repositoryRoutes = ({ registry: { repositories }, allow }: V1Options) =>
  new Hono().delete('/repositories/:name{.+}', allow('delete'), async (c) => {
    await repositories.delete(c.var.repository, callerNameOf(c));
    return answer(c, true);
  });
