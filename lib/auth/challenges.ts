import type { Context } from 'hono';
import { originOf } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import type { Action } from './callers/caller.ts';

/** The token endpoint. */
export const TOKEN_PATH = '/v2/_token';

/** What a token would have to allow. Docker writes it as `repository:team/a:pull,push` or `registry:catalog:*`. */
export type Scope = { repository: string; actions: Action[] } | 'catalog';

/** Makes the `WWW-Authenticate` of a 401. */
export class Challenges {
  readonly #realm: string;
  readonly #offersTokens: boolean;
  readonly #publicUrl: string | undefined;

  /**
   * @param offersTokens whether anonymous callers may do something: clients without a login then need a token to pull,
   *   while Basic is enough where every caller logs in
   * @param publicUrl origin of the registry for its clients; by default that of the request
   */
  constructor({
    realm,
    offersTokens,
    publicUrl,
  }: { realm: string; offersTokens: boolean; publicUrl: string | undefined }) {
    this.#realm = realm;
    this.#offersTokens = offersTokens;
    this.#publicUrl = publicUrl;
  }

  /** @param isBearer whether the client sent a token, so that it needs another token rather than a password */
  unauthorized(c: Context, message: string, { scope, isBearer = false }: { scope?: Scope; isBearer?: boolean } = {}) {
    const knowsTokens = c.req.path.startsWith('/v2') && c.req.path !== TOKEN_PATH;
    const origin = this.#publicUrl ?? originOf(c);
    // The realm of a Bearer challenge is an absolute URL. Without an origin only Basic remains, which every endpoint accepts.
    const challenge =
      knowsTokens && origin && (this.#offersTokens || isBearer) ? bearer(origin, scope, isBearer) : this.#basic();
    return new RegistryError('UNAUTHORIZED', message, { headers: { 'WWW-Authenticate': challenge } });
  }

  /** @see https://www.rfc-editor.org/rfc/rfc7617#section-2 */
  #basic(): string {
    return `Basic realm="${this.#realm}"`;
  }
}

/** @see https://distribution.github.io/distribution/spec/auth/token/#how-to-authenticate */
function bearer(origin: string, scope: Scope | undefined, isInsufficient: boolean): string {
  const parameters = [`realm="${origin}${TOKEN_PATH}"`, `service="${serviceOf(origin)}"`];
  if (scope) parameters.push(`scope="${formatScope(scope)}"`);
  if (scope && isInsufficient) parameters.push('error="insufficient_scope"');
  return `Bearer ${parameters.join(',')}`;
}

/** The name of the registry in tokens: its host. */
function serviceOf(origin: string): string {
  return new URL(origin).host;
}

function formatScope(scope: Scope): string {
  return scope === 'catalog' ? 'registry:catalog:*' : `repository:${scope.repository}:${scope.actions.join(',')}`;
}
