// Tokens that clients get for their password and send instead of it: JWTs that this registry signs and verifies.
// https://distribution.github.io/distribution/spec/auth/jwt/
import type { JWTPayload } from 'jose';
import type { Purpose, SigningKeys } from '../../model/signed-token.ts';
import type { Caller, Grant, TokenBearer } from '../callers/caller.ts';

/** Docker treats a lifetime of less than a minute as 60 seconds. */
export const ACCESS_TOKEN_SECONDS = 5 * 60;

export const REFRESH_TOKEN_SECONDS = 30 * 24 * 60 * 60;

const ALGORITHM = 'HS256';
const ISSUER = 'stowage';

/** Gives a user new access tokens until the password changes. */
export type RefreshToken = { name: string; passwordMark: string };

export class AccessTokens {
  readonly #keys: SigningKeys;

  constructor(keys: SigningKeys) {
    this.#keys = keys;
  }

  async issueAccess({ subject, grants, robot, refused, lists }: Omit<TokenBearer, 'kind'>): Promise<string> {
    const claims = { grants, ...(robot && { robot }), ...(refused?.length && { refused }), ...(lists && { lists }) };
    return await this.#sign('access token', subject, claims, ACCESS_TOKEN_SECONDS);
  }

  /** `undefined` if the token has expired, was changed, or was not signed by this registry for this purpose. */
  async readAccess(token: string): Promise<TokenBearer | undefined> {
    const claims = await this.#verify('access token', token);
    if (!claims) return undefined;
    const { sub: subject = '', grants, robot, refused, lists } = claims as JWTPayload & TokenBearer;
    return {
      kind: 'token',
      subject,
      grants: grants as Grant[],
      ...(robot && { robot }),
      ...(refused && { refused }),
      ...(lists && { lists: lists as Exclude<Caller, undefined> }),
    };
  }

  async issueRefresh({ name, passwordMark }: RefreshToken): Promise<string> {
    return await this.#sign('refresh token', name, { passwordMark }, REFRESH_TOKEN_SECONDS);
  }

  async readRefresh(token: string): Promise<RefreshToken | undefined> {
    const claims = await this.#verify('refresh token', token);
    return claims && { name: claims.sub ?? '', passwordMark: String(claims.passwordMark) };
  }

  async #sign(purpose: Purpose, subject: string, claims: JWTPayload, lifetimeSeconds: number): Promise<string> {
    const { SignJWT } = await import('jose/jwt/sign');
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT(claims)
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' })
      .setIssuer(ISSUER)
      .setSubject(subject)
      .setIssuedAt(now)
      .setExpirationTime(now + lifetimeSeconds)
      .sign(this.#keys.signing(purpose));
  }

  async #verify(purpose: Purpose, token: string): Promise<JWTPayload | undefined> {
    const { jwtVerify } = await import('jose/jwt/verify');
    for (const key of this.#keys.accepted(purpose)) {
      try {
        const { payload } = await jwtVerify(token, key, { algorithms: [ALGORITHM], issuer: ISSUER });
        return payload;
      } catch {
        // Expired, or signed with another key: the next key may be the right one.
      }
    }
    return undefined;
  }
}
