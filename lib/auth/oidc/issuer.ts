// The keys of an identity provider, found as OpenID Connect has it and kept for an hour.
// https://openid.net/specs/openid-connect-discovery-1_0.html
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import { hasCode } from '../../model/has-code.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { KiB, readAtMost } from '../../streams/bytes.ts';

/** No `none`, and no HMAC, for which our copy of a public key would do as the secret. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * KiB;
const FRESH_MS = 60 * 60 * 1000;
/** How often somebody who sends tokens with made-up keys can make us ask. */
const COOLDOWN_MS = 30_000;
const CLOCK_TOLERANCE_SECONDS = 30;

export type IssuerOptions = {
  /** As tokens name it. */
  issuer: string;
  /** Where its keys are, if that is not on its own host, where it says itself. */
  jwksUri?: string | undefined;
};

export class OidcIssuer {
  readonly #issuer: string;
  readonly #jwksUri: string | undefined;
  #keys: JWTVerifyGetKey | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;

  constructor({ issuer, jwksUri }: IssuerOptions) {
    this.#issuer = issuer;
    this.#jwksUri = jwksUri;
  }

  /**
   * The claims of a token that this issuer has signed, for one of these audiences, and that has not expired.
   * @throws Error for any other
   */
  async verify(token: string, audiences: readonly string[]): Promise<JWTPayload> {
    const { jwtVerify } = await import('jose/jwt/verify');
    const options = {
      algorithms: ALGORITHMS,
      issuer: this.#issuer,
      audience: [...audiences],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    };
    await this.#refresh(FRESH_MS);
    try {
      return (await jwtVerify(token, this.#known(), options)).payload;
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
      await this.#refresh(COOLDOWN_MS); // the issuer may have a new one
      return (await jwtVerify(token, this.#known(), options)).payload;
    }
  }

  #known(): JWTVerifyGetKey {
    if (!this.#keys) throw new Error(`the keys of ${this.#issuer} are not known`);
    return this.#keys;
  }

  async #refresh(afterMs: number): Promise<void> {
    const waitMs = this.#keys ? afterMs : COOLDOWN_MS;
    if (!this.#asking && performance.now() - this.#askedAt < waitMs) return;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  /** Keys that are known already stay, if the issuer cannot be asked now. */
  async #ask(): Promise<void> {
    this.#askedAt = performance.now();
    try {
      const jwks = await getJson(this.#jwksUri ?? (await this.#discover()));
      const { createLocalJWKSet } = await import('jose/jwks/local');
      this.#keys = createLocalJWKSet(jwks as unknown as JSONWebKeySet);
    } catch (cause) {
      if (!this.#keys) throw new Error(`the keys of ${this.#issuer} cannot be had`, { cause });
    }
  }

  async #discover(): Promise<string> {
    const { issuer, jwks_uri: uri } = await getJson(
      `${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    );
    if (issuer !== this.#issuer) throw new Error(`it calls itself ${String(issuer)}`);
    // No other host is asked than one that the configuration names.
    if (typeof uri !== 'string' || !URL.canParse(uri) || new URL(uri).origin !== new URL(this.#issuer).origin) {
      throw new Error(`its keys are at ${String(uri)}, on another host: set jwks_uri if that is right`);
    }
    return uri;
  }
}

async function getJson(url: string): Promise<JsonObject> {
  const response = await fetch(url, {
    headers: { Accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200 || !response.body) throw new Error(`${url} answers ${response.status}`);
  const json = parseJson(await readAtMost(response.body, MAX_ANSWER_BYTES, url));
  if (!isJsonObject(json)) throw new Error(`${url} is not a JSON object`);
  return json;
}

function isUnknownKey(error: unknown): boolean {
  return hasCode(error, 'ERR_JWKS_NO_MATCHING_KEY');
}
