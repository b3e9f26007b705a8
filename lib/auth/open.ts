import { AccessTokens } from './access-tokens.ts';
import type { Audit } from './audit.ts';
import { Challenges } from './challenges.ts';
import { Gate } from './gate.ts';
import { LateAuthenticator } from './late-authenticator.ts';
import type { AuthConfig, OpenAuthenticatorOptions } from './open-authenticator.ts';
import { Permissions } from './permissions.ts';
import { TokenService } from './token-service.ts';
import { UploadTurns } from './upload-turns.ts';
import { V1Tokens } from './v1-tokens.ts';

/** How many bodies one caller may send at once, to one process. Docker sends 5. */
const MAX_UPLOADS_EACH = 64;

/** What the routes need to know who may do what. */
export type Auth = {
  gate: Gate;
  /** Absent where nobody is asked who they are. */
  tokens?: { v1: V1Tokens; service: TokenService };
  /** Whether who has a password is known as it is now; absent as well. */
  areUsersCurrent?: () => Promise<boolean>;
  /** What is wrong with the users, in words that unauthenticated callers may read; absent as well. */
  usersProblem?: () => Promise<string | undefined>;
};

export type OpenAuthOptions = OpenAuthenticatorOptions & {
  audit?: Audit;
  /** Origin under which clients reach the registry, where a request does not tell. */
  publicUrl?: string;
  /** How many uploads the process takes at once; absent, any number. */
  uploadsAtOnce?: number;
  /** Whether users are read when somebody is to be told by a password, instead of now. */
  opensLate?: boolean;
};

/**
 * Reads what the configuration names, for one process.
 * @param config absent for a registry where everybody may do everything
 * @throws Error if the users cannot be read
 */
export async function openAuth(config: AuthConfig | undefined, options: OpenAuthOptions): Promise<Auth> {
  const { keys, audit, publicUrl, uploadsAtOnce: atOnce } = options;
  // Of callers that nobody knows apart each may have them all.
  const limits = { ...(atOnce && { atOnce }), ...(config && { each: MAX_UPLOADS_EACH }) };
  const forAll = { ...(audit && { audit }), uploadTurns: new UploadTurns(limits) };
  if (!config) return { gate: Gate.open(forAll) };
  const { realm, rules } = config;
  const permissions = new Permissions(rules);
  const v1Tokens = new V1Tokens(keys);
  const accessTokens = new AccessTokens(keys);
  const open = async () => {
    const { openAuthenticator } = await import('./open-authenticator.ts');
    return await openAuthenticator(config, { ...options, needsUsers: !options.opensLate });
  };
  const authenticator = options.opensLate ? new LateAuthenticator(open) : await open();
  const challenges = new Challenges({
    realm,
    offersTokens: permissions.letsAnonymousIn,
    ...(publicUrl !== undefined && { publicUrl }),
  });
  const gate = new Gate({ login: { authenticator, challenges }, permissions, ...forAll });
  return {
    gate,
    tokens: { v1: v1Tokens, service: new TokenService(authenticator, permissions, accessTokens) },
    areUsersCurrent: () => authenticator.areUsersCurrent(),
    usersProblem: () => authenticator.usersProblem(),
  };
}
