// Tokens of v1's index: `Token signature=…,repository="a/b",access=write`. To clients the signature is opaque; it says
// whose the token is and until when, and signs that together with what stands beside it.
//
// Version 0.1.0 signed `sub`, `robot`, `exp` and `actions` alone: such a token allows what is in it, and knows no holder.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { parseV1RepositoryName, type RepositoryName } from '../../model/names.ts';
import type { Keys } from '../../model/signing-keys.ts';
import { tokenParameters } from '../callers/authorization.ts';
import type { Action, Grant, TokenBearer } from '../callers/caller.ts';

export type V1TokenAccess = 'read' | 'write' | 'delete';

/**
 * For whom a token is made, as it is written in the token. What may change within the token's life is not copied but named,
 * and looked up when the token is shown.
 */
export type TokenHolder = {
  /** A user's name, `robot:ci`; empty for a caller without a login. */
  subject: string;
  /** The id of a robot. */
  robot?: string;
  /** Of a user of htpasswd: changes with the password. */
  passwordMark?: string;
  /** Of a user of an identity provider, which only the provider's token told. */
  groups?: string[];
  /** Of the bearer of another token: more than this the holder never has. */
  grants?: Grant[];
};

/** What a token allows, and for whom it was made. */
export type V1Token = TokenBearer & { madeFor?: TokenHolder };

/** Of tokens that name their holder. */
const FORM = 2;

/** Docker gets one at the beginning of a push and sends it to the end, with layers of any size in between. */
const LIFETIME_SECONDS = 6 * 60 * 60;

export class V1Tokens {
  readonly #signing: Uint8Array;
  readonly #accepted: Uint8Array[];

  constructor(keys: Keys) {
    this.#signing = keys.signing('v1 token');
    this.#accepted = keys.accepted('v1 token');
  }

  issue(
    repository: RepositoryName,
    access: V1TokenAccess,
    { holder, actions }: { holder: TokenHolder; actions: Action[] },
    nowMs = Date.now(),
  ): string {
    const { subject, robot, passwordMark, groups, grants } = holder;
    const expires = Math.floor(nowMs / 1000) + LIFETIME_SECONDS;
    const claims = { form: FORM, sub: subject, robot, exp: expires, actions, mark: passwordMark, groups, grants };
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
    const mac = macOf(this.#signing, payload, repository, access).toString('base64url');
    return `Token signature=${payload}.${mac},repository="${encodeURI(repository)}",access=${access}`;
  }

  /** `undefined` if it was not signed here, was changed, or has expired. */
  read(credentials: string, nowMs = Date.now()): V1Token | undefined {
    const parameters = tokenParameters(credentials);
    const [payload = '', mac = ''] = (parameters.get('signature') ?? '').split('.');
    const repository = repositoryOf(parameters.get('repository'));
    const access = parameters.get('access') ?? '';
    if (repository === undefined || !this.#isSigned(payload, mac, repository, access)) return undefined;
    const claims = parseJson(Buffer.from(payload, 'base64url'));
    if (!isJsonObject(claims) || typeof claims.exp !== 'number' || claims.exp * 1000 < nowMs) return undefined;
    const [subject, robot] = [String(claims.sub), typeof claims.robot === 'string' && { robot: claims.robot }];
    return {
      kind: 'token',
      subject,
      grants: [{ repository, actions: claims.actions as Action[] }],
      ...robot,
      ...(claims.form === FORM && { madeFor: { subject, ...robot, ...holderClaims(claims) } }),
    };
  }

  #isSigned(payload: string, mac: string, repository: RepositoryName, access: string): boolean {
    const actual = Buffer.from(mac, 'base64url');
    return this.#accepted.some((key) => {
      const expected = macOf(key, payload, repository, access);
      return actual.length === expected.length && timingSafeEqual(actual, expected);
    });
  }
}

/** Signed by this registry, so of the form that `issue` gave them. */
function holderClaims({ mark, groups, grants }: JsonObject): Omit<TokenHolder, 'subject' | 'robot'> {
  return {
    ...(typeof mark === 'string' && { passwordMark: mark }),
    ...(groups !== undefined && { groups: groups as string[] }),
    ...(grants !== undefined && { grants: grants as Grant[] }),
  };
}

function macOf(key: Uint8Array, payload: string, repository: RepositoryName, access: string): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify([payload, repository, access]))
    .digest();
}

function repositoryOf(parameter: string | undefined): RepositoryName | undefined {
  try {
    return parameter === undefined ? undefined : parseV1RepositoryName(decodeURI(parameter));
  } catch {
    return undefined;
  }
}
