import { randomInt } from 'node:crypto';
import type { Context } from 'hono';
import type { RepositoryName } from '../names.ts';
import type { V1Options } from './options.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** What every answer of an index carries: where the images are, and a token for them, which docker wants to see. */
export function tokenHeaders(
  c: Context,
  { registryEndpoints }: V1Options,
  repository: RepositoryName,
  access: 'read' | 'write' | 'delete',
): Record<string, string | string[]> {
  // Nobody checks it: a standalone registry takes requests with and without.
  const signature = Array.from({ length: 16 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  const token = `Token signature=${signature},repository="${encodeURI(repository)}",access=${access}`;
  return {
    'X-Docker-Endpoints': registryEndpoints ?? c.req.header('Host') ?? new URL(c.req.url).host,
    'X-Docker-Token': token,
    'WWW-Authenticate': token,
  };
}
