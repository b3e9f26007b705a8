// Who gets which answer: the rules as docs/auth.md has them, in other words than the code's.
import type { Action } from '../../lib/auth/caller.ts';
import { type Bearer, type Endpoint, isOfV2, REPOSITORY, RIGHTS, type Scheme } from './matrix-endpoints.ts';

/** A request, as far as its answer depends on it. `invalid` has shown something that is wrong, or no longer right. */
export type Asked = { endpoint: Endpoint; scheme?: Scheme; who: Bearer | 'anonymous' | 'invalid' };

export type Place = {
  /** Whether an access rule lets everybody pull something. */
  isOpenToAll: boolean;
  realm: string;
  /** Where clients know the registry: `https://registry.example.com`. */
  origin: string;
  /** Whether bytes come from a URL of the storage. */
  givesUrls: boolean;
};

/** Status, the codes of v2, and the challenge: `401 UNAUTHORIZED Basic realm="Ours"`. */
export function expectedOf({ endpoint, scheme, who }: Asked, place: Place): string {
  const { path, needs, method, repository = REPOSITORY } = endpoint;
  const { isOpenToAll, realm, origin, givesUrls } = place;
  const gets = givesUrls ? (endpoint.getsUrl ?? endpoint.gets) : endpoint.gets;
  const isV2 = isOfV2(endpoint);
  const code = (text: string) => (isV2 && method !== 'HEAD' ? ` ${text}` : '');
  const challenge = (parameters: string, hasToken: boolean) => {
    if (!isV2 || path === '/v2/_token') return `Basic realm="${realm}"`;
    return isOpenToAll || hasToken ? bearerChallenge(origin, parameters) : `Basic realm="${realm}"`;
  };
  const unauthorized = (parameters = '', hasToken = false) =>
    `401${code('UNAUTHORIZED')} ${challenge(parameters, hasToken)}`;

  if (needs === 'open') return gets;
  if (who === 'invalid') return unauthorized('', scheme === 'Bearer');
  if (needs === 'nothing') return gets;

  const isAnonymous = who === 'anonymous';
  const hasToken = !isAnonymous && scheme !== 'Basic';
  const scope = needs === 'push' ? 'pull,push' : needs === 'pull' || needs === 'delete' ? needs : undefined;
  const parameters = scope ? `,scope="repository:${repository}:${scope}"` : '';
  const insufficient = `${parameters},error="insufficient_scope"`;
  switch (needs) {
    case 'login':
      return isAnonymous ? unauthorized() : gets;
    case 'token':
      if (isAnonymous) return isOpenToAll ? gets : unauthorized();
      return hasToken ? unauthorized() : gets;
    case 'list':
      if (isAnonymous) return isOpenToAll ? gets : unauthorized(',scope="registry:catalog:*"');
      return hasToken ? unauthorized(',scope="registry:catalog:*",error="insufficient_scope"', true) : gets;
    case 'image':
      if (isAnonymous) return isOpenToAll ? '404' : unauthorized();
      return who === 'other' ? '404' : gets;
    case 'push anywhere':
      if (isAnonymous) return unauthorized();
      if (who === 'other' || who === 'push' || who === 'admin') return gets;
      return hasToken ? unauthorized() : '403';
    default: {
      if (isAnonymous) return unauthorized(parameters);
      const rights: Action[] = RIGHTS[who];
      if (rights.includes(needs)) return gets;
      if (hasToken) return unauthorized(insufficient, true);
      // What clients ask with HEAD before they push is not there, so that they go on and are told why not.
      return method === 'HEAD' && path.includes('<blob>') ? '404' : `403${code('DENIED')}`;
    }
  }
}

/** @param parameters each with a comma in front */
export function bearerChallenge(origin: string, parameters = ''): string {
  return `Bearer realm="${origin}/v2/_token",service="${new URL(origin).host}"${parameters}`;
}
