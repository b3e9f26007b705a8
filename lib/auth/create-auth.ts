import { BodyMemory } from '../limits/body-memory.ts';
import { ConcurrencyLimit, type ConcurrencyLimitOptions } from '../limits/concurrency-limit.ts';
import type { Log } from '../model/log.ts';
import type { Audit } from './audit.ts';
import { Challenges } from './challenges.ts';
import type { AuthConfig, CreateAuthenticatorOptions } from './create-authenticator.ts';
import { Gate } from './gate.ts';
import { LazyAuthenticator } from './lazy-authenticator.ts';
import { Permissions } from './rules/permissions.ts';
import { TokenService } from './token-service.ts';
import { AccessTokens } from './tokens/access-tokens.ts';
import { V1Tokens } from './tokens/v1-tokens.ts';

/** How many uploads of one caller a process takes at once. Docker sends 5. */
export const MAX_UPLOADS_PER_CALLER = 64;

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

export type CreateAuthOptions = CreateAuthenticatorOptions & {
  audit?: Audit;
  /** Origin under which clients reach the registry, where a request does not tell. */
  publicUrl?: string;
  /** How many uploads the process takes at once; absent, any number. */
  uploadsAtOnce?: number;
  /** How many downloads it sends at once; absent, any number. */
  downloadsAtOnce?: number;
  /** Whether users are read when somebody is to be told by a password, instead of now. */
  opensLate?: boolean;
};

/**
 * Reads what the configuration names, for one process.
 * @param config absent for a registry where everybody may do everything
 * @throws Error if the users cannot be read
 */
export async function createAuth(config: AuthConfig | undefined, options: CreateAuthOptions): Promise<Auth> {
  const { keys, audit, publicUrl } = options;
  const limits = {
    uploads: uploadLimit(options, config !== undefined),
    downloads: downloadLimit(options),
    bodies: new BodyMemory(),
  };
  const forAll = { ...(audit && { audit }), limits };
  if (!config) return { gate: Gate.forOpenRegistry(forAll) };
  const { realm, rules } = config;
  const permissions = new Permissions(rules);
  const v1Tokens = new V1Tokens(keys);
  const accessTokens = new AccessTokens(keys);
  const open = async () => {
    const { createAuthenticator } = await import('./create-authenticator.ts');
    return await createAuthenticator(config, { ...options, needsUsers: !options.opensLate });
  };
  const authenticator = options.opensLate ? new LazyAuthenticator(open) : await open();
  const challenges = new Challenges({
    realm,
    offersTokens: permissions.allowsAnonymous,
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

/** @param hasLogins without logins callers are known by their addresses, behind which there may be many */
function uploadLimit({ uploadsAtOnce: atOnce, log }: CreateAuthOptions, hasLogins: boolean): ConcurrencyLimit {
  return new ConcurrencyLimit({
    what: 'uploads',
    ...(atOnce && { atOnce }),
    ...(hasLogins && { perCaller: MAX_UPLOADS_PER_CALLER }),
    ...loggingTo(log, 'cut off a stalled upload'),
  });
}

function downloadLimit({ downloadsAtOnce: atOnce, log }: CreateAuthOptions): ConcurrencyLimit {
  return new ConcurrencyLimit({
    what: 'downloads',
    ...(atOnce && { atOnce }),
    ...loggingTo(log, 'cut off a stalled download'),
  });
}

function loggingTo(log: Log, message: string): Pick<ConcurrencyLimitOptions, 'onCutOff'> {
  return { onCutOff: ({ caller, bytes }) => log.info(message, { caller, bytes }) };
}
