import type { Context } from 'hono';
import { originOf } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import type { Action } from './callers/caller.ts';

/** Where clients get tokens. */
export const TOKEN_PATH = '/v2/_token';

/** What a token would have to allow, as Docker writes it: `repository:team/a:pull,push`. */
export type Scope = { repository: string; actions: Action[] } | 'catalog';

/** How this registry asks who somebody is. */
export class Challenges {
  readonly #realm: string;
  readonly #offersTokens: boolean;
  readonly #publicUrl: string | undefined;

  /**
   * @param offersTokens whether clients that have not logged in get something too: they need a token to say that they are
   *   nobody, while all others do with Basic
   * @param publicUrl origin under which clients reach the registry, if the request does not tell
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

  /** @param isBearer whether the client has come with a token, of which it then needs another */
  unauthorized(c: Context, message: string, { scope, isBearer = false }: { scope?: Scope; isBearer?: boolean } = {}) {
    const knowsTokens = c.req.path.startsWith('/v2') && c.req.path !== TOKEN_PATH;
    const origin = this.#publicUrl ?? originOf(c);
    // A token's realm is an absolute URL: where none is known, Basic is what is left, and taken everywhere.
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

/** The registry's name in tokens: its host. */
function serviceOf(origin: string): string {
  return new URL(origin).host;
}

function formatScope(scope: Scope): string {
  return scope === 'catalog' ? 'registry:catalog:*' : `repository:${scope.repository}:${scope.actions.join(',')}`;
}
