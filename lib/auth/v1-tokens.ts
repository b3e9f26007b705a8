// Tokens of v1's index: `Token signature=…,repository="a/b",access=write`. To clients the signature is opaque; it says
// whose the token is and until when, and signs that together with what stands beside it.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isJsonObject, parseJson } from '../json.ts';
import { parseV1RepositoryName, type RepositoryName } from '../names.ts';
import { tokenParameters } from './authorization.ts';
import type { Action, TokenBearer } from './caller.ts';
import type { Keys } from './keys.ts';

export type V1TokenAccess = 'read' | 'write' | 'delete';

/** Docker gets one at the beginning of a push and sends it to the end, with layers of any size in between. */
const LIFETIME_SECONDS = 6 * 60 * 60;

export class V1Tokens {
  readonly #signing: Uint8Array;
  readonly #accepted: Uint8Array[];

  constructor(keys: Keys) {
    this.#signing = keys.signing('v1 token');
    this.#accepted = keys.accepted('v1 token');
  }

  /** @param subject whose token it is; empty for somebody who has not logged in */
  issue(
    repository: RepositoryName,
    access: V1TokenAccess,
    { subject, actions, robot }: { subject: string; actions: Action[]; robot?: string },
    nowMs = Date.now(),
  ): string {
    const expires = Math.floor(nowMs / 1000) + LIFETIME_SECONDS;
    const payload = Buffer.from(JSON.stringify({ sub: subject, robot, exp: expires, actions })).toString('base64url');
    const mac = macOf(this.#signing, payload, repository, access).toString('base64url');
    return `Token signature=${payload}.${mac},repository="${encodeURI(repository)}",access=${access}`;
  }

  /** `undefined` if it was not signed here, was changed, or has expired. */
  read(credentials: string, nowMs = Date.now()): TokenBearer | undefined {
    const parameters = tokenParameters(credentials);
    const [payload = '', mac = ''] = (parameters.get('signature') ?? '').split('.');
    const repository = repositoryOf(parameters.get('repository'));
    const access = parameters.get('access') ?? '';
    if (repository === undefined || !this.#isSigned(payload, mac, repository, access)) return undefined;
    const claims = parseJson(Buffer.from(payload, 'base64url'));
    if (!isJsonObject(claims) || typeof claims.exp !== 'number' || claims.exp * 1000 < nowMs) return undefined;
    return {
      kind: 'token',
      subject: String(claims.sub),
      grants: [{ repository, actions: claims.actions as Action[] }],
      ...(typeof claims.robot === 'string' && { robot: claims.robot }),
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
