// Which caller gets which answer: the rules of docs/auth.md, written independently of the code.
import type { Action } from '../../lib/auth/callers/caller.ts';
import { type Bearer, type Endpoint, isOfV2, ofV1, ofV2, REPOSITORY, RIGHTS, type Scheme } from './matrix-endpoints.ts';

/** The parts of a request that decide its answer. */
export type Asked = { endpoint: Endpoint; scheme?: Scheme; who: Bearer | 'anonymous' | Invalid };

/** Credentials that are missing or invalid. */
export const INVALID = ['wrong', 'expired'] as const;
type Invalid = (typeof INVALID)[number];

export type Place = {
  /** Whether an access rule lets anonymous callers pull something. */
  isOpenToAll: boolean;
  realm: string;
  /** The origin of the registry for clients: `https://registry.example.com`. */
  origin: string;
  /** Whether storage serves bytes by presigned URLs. */
  givesUrls: boolean;
};

/** Status, the whole body of an error, and the challenge: `401 {"error":"log in first"} Basic realm="Ours"`. */
export function expectedOf({ endpoint, scheme, who }: Asked, place: Place): string {
  const { path, needs, method, repository = REPOSITORY } = endpoint;
  const { isOpenToAll, realm, origin, givesUrls } = place;
  const gets = givesUrls ? (endpoint.getsUrl ?? endpoint.gets) : endpoint.gets;
  const isV2 = isOfV2(endpoint);
  const refused = (status: 401 | 403 | 404, code: string, message: string) =>
    method === 'HEAD' ? String(status) : `${status} ${isV2 ? ofV2(code, message) : ofV1(message)}`;
  const challenge = (parameters: string, hasToken: boolean) => {
    if (!isV2 || path === '/v2/_token') return `Basic realm="${realm}"`;
    return isOpenToAll || hasToken ? bearerChallenge(origin, parameters) : `Basic realm="${realm}"`;
  };
  const unauthorized = (message: string, parameters = '', hasToken = false) =>
    `${refused(401, 'UNAUTHORIZED', message)} ${challenge(parameters, hasToken)}`;

  if (needs === 'open') return gets;
  if (who === 'wrong' || who === 'expired') {
    const isPassword = scheme === 'Basic' && who === 'wrong';
    const message = isPassword ? 'wrong user name or password' : 'this token is not valid, or has expired';
    return unauthorized(message, '', scheme === 'Bearer');
  }
  if (needs === 'nothing') return gets;

  const isAnonymous = who === 'anonymous';
  const hasToken = !isAnonymous && scheme !== 'Basic';
  const scope = needs === 'push' ? 'pull,push' : needs === 'pull' || needs === 'delete' ? needs : undefined;
  const parameters = scope ? `,scope="repository:${repository}:${scope}"` : '';
  const insufficient = `${parameters},error="insufficient_scope"`;
  switch (needs) {
    case 'login':
      return isAnonymous ? unauthorized('log in first') : gets;
    case 'token':
      if (isAnonymous) return isOpenToAll ? gets : unauthorized('log in first');
      return hasToken ? unauthorized('an access token cannot be used to get another one: log in') : gets;
    case 'list': {
      const [what, ofCatalog] = ['pull from the list of repositories', ',scope="registry:catalog:*"'];
      // The search of v1 shows public repositories without a login, since v1 has no anonymous tokens.
      if (isAnonymous) return isOpenToAll && !isV2 ? gets : unauthorized(`log in to ${what}`, ofCatalog);
      if (!hasToken) return gets;
      return unauthorized(`${who} may not ${what}`, `${ofCatalog},error="insufficient_scope"`, true);
    }
    case 'image':
      if (isAnonymous && !isOpenToAll) return unauthorized('log in to pull from any repository');
      return isAnonymous || who === 'other' ? refused(404, 'IMAGE_UNKNOWN', 'Image not found') : gets;
    case 'push anywhere': {
      if (isAnonymous) return unauthorized('log in to push to any repository');
      if (who === 'other' || who === 'push' || who === 'admin') return gets;
      const message = `${who} may not push to any repository`;
      return hasToken ? unauthorized(message) : refused(403, 'DENIED', message);
    }
    default: {
      const what = `${VERBS[needs]} ${repository}`;
      if (isAnonymous) return unauthorized(`log in to ${what}`, parameters);
      const rights: Action[] = RIGHTS[who];
      if (rights.includes(needs)) return gets;
      if (hasToken) return unauthorized(`${who} may not ${what}`, insufficient, true);
      // HEAD before a push gets 404, so that the client goes on to the push, whose 403 has a message.
      const isLookingFirst = method === 'HEAD' && path.includes('<blob>');
      return isLookingFirst ? '404' : refused(403, 'DENIED', `${who} may not ${what}`);
    }
  }
}

const VERBS: Record<Action, string> = { pull: 'pull from', push: 'push to', delete: 'delete from' };

/** @param parameters each begins with a comma */
export function bearerChallenge(origin: string, parameters = ''): string {
  return `Bearer realm="${origin}/v2/_token",service="${new URL(origin).host}"${parameters}`;
}
