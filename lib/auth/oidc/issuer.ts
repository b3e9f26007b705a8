// The keys of an identity provider, found by OpenID Connect Discovery and kept for an hour.
// https://openid.net/specs/openid-connect-discovery-1_0.html
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import { hasCode } from '../../model/has-code.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { KiB, readAtMost } from '../../streams/bytes.ts';

/** Asymmetric signatures only. With HMAC an attacker could sign with the public key, and `none` needs no key at all. */
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
/** The least time between two requests for keys, however many tokens name unknown keys. */
const COOLDOWN_MS = 30_000;
const CLOCK_TOLERANCE_SECONDS = 30;

export type IssuerOptions = {
  /** The `iss` of its tokens. */
  issuer: string;
  /** URL of its keys; by default its discovery document names one on its own host. */
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
   * The claims of a token that this issuer signed for one of these audiences, and that has not expired.
   * @throws Error if it is any other token, or the keys cannot be fetched
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
      return (await jwtVerify(token, this.#knownKeys(), options)).payload;
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
      await this.#refresh(COOLDOWN_MS); // the issuer may have published a new key
      return (await jwtVerify(token, this.#knownKeys(), options)).payload;
    }
  }

  #knownKeys(): JWTVerifyGetKey {
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

  /** If the issuer does not answer, the keys that are known stay in use. */
  async #ask(): Promise<void> {
    this.#askedAt = performance.now();
    try {
      const jwks = await getJson(this.#jwksUri ?? (await this.#discover()));
      const { createLocalJWKSet } = await import('jose/jwks/local');
      this.#keys = createLocalJWKSet(jwks as unknown as JSONWebKeySet);
    } catch (cause) {
      if (!this.#keys) throw new Error(`the keys of ${this.#issuer} cannot be fetched`, { cause });
    }
  }

  async #discover(): Promise<string> {
    const { issuer, jwks_uri: uri } = await getJson(
      `${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    );
    if (issuer !== this.#issuer) throw new Error(`its discovery document names the issuer ${String(issuer)}`);
    // Sends requests only to hosts that the configuration names.
    if (typeof uri !== 'string' || !URL.canParse(uri) || new URL(uri).origin !== new URL(this.#issuer).origin) {
      throw new Error(`its keys are at ${String(uri)}, on another host: if that is right, set jwks_uri`);
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
