// Keys, and the tokens that only this registry reads: upload sessions and v1 tokens. Clients treat these as opaque. Access
// tokens, which clients do read, are JWTs, signed with keys from here.
import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { isJsonObject, type JsonObject, parseJson } from './json.ts';

const KEY_BYTES = 32;

/** A longer token is refused before anything is computed. Node accepts 32 KiB of headers, API Gateway 10 KiB. */
const MAX_TOKEN_CHARACTERS = 32 * 1024;

/** Each purpose has keys of its own, so a signature made for one is invalid for every other. */
export type Purpose =
  | 'access token'
  | 'refresh token'
  | 'v1 token'
  | 'upload session'
  | 'catalog cursor'
  | 'browser session'
  | 'form of a page';

/** Derives keys from `secret_key`. All processes that serve one bucket need the same secrets. */
export class SigningKeys {
  readonly #secrets: readonly [string, ...string[]];

  /** @param previous earlier secrets: what they signed is still accepted, nothing new is signed with them */
  constructor(secret: string, previous: readonly string[] = []) {
    this.#secrets = [secret, ...previous];
  }

  /** The key that signs, of 32 bytes. */
  signing(purpose: Purpose): Uint8Array {
    return derive(this.#secrets[0], purpose);
  }

  /** The keys whose signatures are accepted, of 32 bytes each. The first one is the one that signs. */
  accepted(purpose: Purpose): Uint8Array[] {
    return this.#secrets.map((secret) => derive(secret, purpose));
  }
}

/** HKDF with SHA-256. @see https://www.rfc-editor.org/rfc/rfc5869 */
function derive(secret: string, purpose: Purpose): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `stowage ${purpose}`, KEY_BYTES));
}

/** Signs and verifies tokens of one purpose: base64url of the claims as JSON, a dot, base64url of an HMAC-SHA256. */
export class SignedTokens {
  /** As objects, which Node need not make again for each token: that takes longer than the HMAC. */
  readonly #signing: KeyObject;
  readonly #accepted: readonly KeyObject[];

  constructor(keys: SigningKeys, purpose: Purpose) {
    this.#signing = createSecretKey(keys.signing(purpose));
    this.#accepted = keys.accepted(purpose).map((key) => createSecretKey(key));
  }

  /**
   * @param claims become JSON; `exp` is added
   * @param expiresAtSeconds Unix time
   * @param context is signed, but not contained: `verify` needs the same
   * @returns a string of `[A-Za-z0-9_.-]`
   */
  sign(claims: object, expiresAtSeconds: number, context: readonly string[] = []): string {
    const payload = Buffer.from(JSON.stringify({ ...claims, exp: expiresAtSeconds })).toString('base64url');
    return `${payload}.${macOf(this.#signing, payload, context).toString('base64url')}`;
  }

  /**
   * The claims, without `exp`; `undefined` if the token has expired, was changed, was signed with another key or in another
   * context.
   */
  verify(token: string, nowMs: number, context: readonly string[] = []): JsonObject | undefined {
    if (token.length > MAX_TOKEN_CHARACTERS) return undefined;
    const [payload = '', signature = ''] = token.split('.');
    const actual = Buffer.from(signature, 'base64url');
    const isSigned = this.#accepted.some((key) => {
      const expected = macOf(key, payload, context);
      return actual.length === expected.length && timingSafeEqual(actual, expected);
    });
    const decoded = isSigned ? parseJson(Buffer.from(payload, 'base64url')) : undefined;
    if (!isJsonObject(decoded)) return undefined;
    const { exp, ...claims } = decoded;
    return typeof exp === 'number' && exp * 1000 >= nowMs ? claims : undefined;
  }
}

function macOf(key: KeyObject, payload: string, context: readonly string[]): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify([payload, ...context]))
    .digest();
}
