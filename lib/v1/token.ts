import { randomInt } from 'node:crypto';
import type { Context } from 'hono';
import type { Action } from '../auth/callers/caller.ts';
import type { Gate } from '../auth/gate.ts';
import type { V1TokenAccess, V1Tokens } from '../auth/tokens/v1-tokens.ts';
import { type GatewaySettings, pushEndpointFor } from '../http/gateway-quirks.ts';
import { reachedAt } from '../http/request.ts';
import type { RepositoryName } from '../model/names.ts';
import type { V1Options } from './options.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** The headers of every answer of an index: where the images are, and a token for them. Docker requires both. */
export async function tokenHeaders(
  c: Context,
  { registryEndpoints, gate, tokens, ...gateway }: V1Options,
  repository: RepositoryName,
  access: V1TokenAccess,
): Promise<Record<string, string | string[]>> {
  const token = tokens ? await signed(c, gate, tokens, repository, access) : unsigned(repository, access);
  return {
    'X-Docker-Endpoints': registryEndpoints ?? endpointOf(c, gateway, access),
    'X-Docker-Token': token,
    'WWW-Authenticate': token,
  };
}

const ALLOWED: Record<V1TokenAccess, Action[]> = {
  read: ['pull'],
  write: ['pull', 'push'],
  delete: ['pull', 'delete'],
};

/** The token allows what the caller may do already, and no more. */
async function signed(
  c: Context,
  gate: Gate,
  tokens: V1Tokens,
  repository: RepositoryName,
  access: V1TokenAccess,
): Promise<string> {
  const actions = ALLOWED[access].filter((action) => gate.may(c, action, repository));
  return tokens.issue(repository, access, { holder: await gate.holderOf(c), actions });
}

/** A token in the form that docker expects. An open registry does not verify it. */
function unsigned(repository: RepositoryName, access: V1TokenAccess): string {
  const signature = Array.from({ length: 16 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  return `Token signature=${signature},repository="${encodeURI(repository)}",access=${access}`;
}

/** The host for `X-Docker-Endpoints`. A v1 client sends a whole push to it, or reads a whole pull from it. */
function endpointOf(c: Context, gateway: GatewaySettings, access: V1TokenAccess): string {
  const elsewhere = (access === 'write' ? pushEndpointFor(c, gateway) : undefined) ?? gateway.publicUrl;
  if (elsewhere) return new URL(elsewhere).host;
  return reachedAt(c)?.authority ?? new URL(c.req.url).host;
}
