// Docker's token protocol: a client logs in once and gets a token that allows the requested actions for a few minutes.
import { RegistryError } from '../model/errors.ts';
import type { Authenticator } from './authenticator.ts';
import {
  type Action,
  type Caller,
  type Grant,
  isAnonymous,
  nameOf,
  robotOf,
  type TokenBearer,
} from './callers/caller.ts';
import type { Permissions } from './rules/permissions.ts';
import { parseScopes, type RequestedScopes } from './scopes.ts';
import { ACCESS_TOKEN_SECONDS, type AccessTokens } from './tokens/access-tokens.ts';

/** https://distribution.github.io/distribution/spec/auth/token/#token-response-fields */
export type TokenAnswer = {
  /** The token under Docker's name, and again under that of OAuth 2. */
  token: string;
  access_token: string;
  expires_in: number;
  issued_at: string;
  scope: string;
  refresh_token?: string;
};

export class TokenService {
  readonly #authenticator: Authenticator;
  readonly #permissions: Permissions;
  readonly #tokens: AccessTokens;

  constructor(authenticator: Authenticator, permissions: Permissions, tokens: AccessTokens) {
    this.#authenticator = authenticator;
    this.#permissions = permissions;
    this.#tokens = tokens;
  }

  /**
   * A token for those of the requested actions that the caller may do.
   * @throws RegistryError UNAUTHORIZED if the caller has an access token, which must not be extended by another one
   */
  async grant(caller: Caller, scopes: readonly string[]): Promise<TokenAnswer> {
    if (caller.kind === 'token' && !caller.isFinal)
      throw new RegistryError('UNAUTHORIZED', 'an access token cannot be used to get another one: log in');
    const bearer = this.#bearerOf(caller, parseScopes(scopes));
    const token = await this.#tokens.issueAccess(bearer);
    return {
      token,
      access_token: token,
      expires_in: ACCESS_TOKEN_SECONDS,
      issued_at: new Date().toISOString(),
      scope: bearer.grants.map(formatGrant).join(' '),
    };
  }

  /**
   * As `grant`, for a password in the form instead of a header.
   * @param isOffline whether the client wants a refresh token
   * @throws RegistryError UNAUTHORIZED, TOOMANYREQUESTS
   */
  async grantByPassword(
    { name, password, isOffline, address }: { name: string; password: string; isOffline: boolean; address?: string },
    scopes: readonly string[],
  ): Promise<TokenAnswer> {
    const caller = await this.#authenticator.login(name, password, address);
    const answer = await this.grant(caller, scopes);
    const passwordMark =
      isOffline && caller.kind === 'user' ? await this.#authenticator.passwordMarkOf(name) : undefined;
    if (passwordMark === undefined) return answer;
    return { ...answer, refresh_token: await this.#tokens.issueRefresh({ name, passwordMark }) };
  }

  /** @throws RegistryError UNAUTHORIZED if the token is invalid, or the password has changed since it was issued */
  async grantByRefreshToken(refreshToken: string, scopes: readonly string[]): Promise<TokenAnswer> {
    const refresh = await this.#tokens.readRefresh(refreshToken);
    const caller = refresh && (await this.#authenticator.userByMark(refresh.name, refresh.passwordMark));
    if (!caller)
      throw new RegistryError('UNAUTHORIZED', 'this refresh token is not valid, or has expired: log in again');
    return { ...(await this.grant(caller, scopes)), refresh_token: refreshToken };
  }

  #bearerOf(caller: Caller, { repositories, catalog }: RequestedScopes): TokenBearer {
    const grants: Grant[] = [];
    const refused: NonNullable<TokenBearer['refused']> = [];
    for (const [repository, wanted] of repositories) {
      const [may, mayNot] = partition([...wanted], (action) => this.#permissions.may(caller, action, repository));
      if (may.length > 0) grants.push({ repository, actions: may });
      if (mayNot.length > 0) refused.push({ repository, actions: mayNot });
    }
    const subject = isAnonymous(caller) ? '' : nameOf(caller);
    return { kind: 'token', subject, grants, refused, ...robotOf(caller), ...(catalog && { lists: caller }) };
  }
}

function partition(actions: Action[], may: (action: Action) => boolean): [Action[], Action[]] {
  return [actions.filter(may), actions.filter((action) => !may(action))];
}

function formatGrant(grant: Grant): string {
  const name = 'repository' in grant ? grant.repository : grant.pattern;
  return `repository:${name}:${grant.actions.join(',')}`;
}
