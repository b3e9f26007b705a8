// The tokens that this registry issues as the index of v1: `Token signature=…,repository="a/b",access=write`. Clients treat
// the signature as opaque. It contains the holder and the expiry, and also signs the repository and the access beside it.
import { parseV1RepositoryName, type RepositoryName } from '../../model/names.ts';
import { SignedTokens, type SigningKeys } from '../../model/signed-token.ts';
import { tokenParameters } from '../callers/authorization.ts';
import type { Action, Grant, TokenBearer } from '../callers/caller.ts';

export type V1TokenAccess = 'read' | 'write' | 'delete';

/**
 * The caller that a token was issued to. The token names the caller; the caller's rights are looked up each time the token
 * is used, since they may change during its life.
 */
export type TokenHolder = {
  /** A user's name, or `robot:ci`; empty for an anonymous caller. */
  subject: string;
  /** A robot's id. */
  robot?: string;
  /** A user of the htpasswd file: changes with the password. */
  passwordMark?: string;
  /** A user of an identity provider: the groups that the provider's token gave. */
  groups?: string[];
  /** The bearer of an access token: the holder may do no more than these grants. */
  grants?: Grant[];
};

export type V1Token = TokenBearer & { issuedTo: TokenHolder };

type Claims = { sub: string; actions: Action[]; mark?: string } & Pick<TokenHolder, 'robot' | 'groups' | 'grants'>;

/** Docker gets a token when a push begins and uses it until the end, however long the layers take. */
export const LIFETIME_SECONDS = 6 * 60 * 60;

export class V1Tokens {
  readonly #tokens: SignedTokens;

  constructor(keys: SigningKeys) {
    this.#tokens = new SignedTokens(keys, 'v1 token');
  }

  /** @returns the value of `X-Docker-Token` */
  issue(
    repository: RepositoryName,
    access: V1TokenAccess,
    { holder, actions }: { holder: TokenHolder; actions: Action[] },
    nowMs = Date.now(),
  ): string {
    const { subject, passwordMark, ...others } = holder;
    const claims: Claims = {
      ...others,
      sub: subject,
      actions,
      ...(passwordMark !== undefined && { mark: passwordMark }),
    };
    const expiresAtSeconds = Math.floor(nowMs / 1000) + LIFETIME_SECONDS;
    const signature = this.#tokens.sign(claims, expiresAtSeconds, [repository, access]);
    return `Token signature=${signature},repository="${encodeURI(repository)}",access=${access}`;
  }

  /** `undefined` if the token has expired, was changed, or was not issued by this registry. */
  read(credentials: string, nowMs = Date.now()): V1Token | undefined {
    const parameters = tokenParameters(credentials);
    const repository = repositoryOf(parameters.get('repository'));
    if (repository === undefined) return undefined;
    const context = [repository, parameters.get('access') ?? ''];
    const claims = this.#tokens.verify(parameters.get('signature') ?? '', nowMs, context) as Claims | undefined;
    if (!claims) return undefined;
    const { sub: subject, actions, mark, ...others } = claims;
    return {
      kind: 'token',
      subject,
      grants: [{ repository, actions }],
      ...(others.robot !== undefined && { robot: others.robot }),
      issuedTo: { subject, ...others, ...(mark !== undefined && { passwordMark: mark }) },
    };
  }
}

function repositoryOf(parameter: string | undefined): RepositoryName | undefined {
  try {
    return parameter === undefined ? undefined : parseV1RepositoryName(decodeURI(parameter));
  } catch {
    return undefined;
  }
}
