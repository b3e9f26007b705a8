import type { GatewaySettings } from '../http/gateway-quirks.ts';
import { ConcurrencyLimit, type ConcurrencyLimitOptions } from '../limits/concurrency-limit.ts';
import type { Log } from '../model/log.ts';
import type { Audit } from './audit.ts';
import type { Authenticator } from './authenticator.ts';
import { Challenges } from './challenges.ts';
import type { AuthConfig, CreateAuthenticatorOptions } from './create-authenticator.ts';
import { Gate } from './gate.ts';
import { RequestLimits } from './request-limits.ts';
import { Permissions } from './rules/permissions.ts';
import { TokenService } from './token-service.ts';
import { AccessTokens } from './tokens/access-tokens.ts';
import { V1Tokens } from './tokens/v1-tokens.ts';

/** How many uploads of one caller a process runs at once. Docker sends 5. */
export const MAX_UPLOADS_PER_CALLER = 64;

/** What the configuration says about callers. */
export type AuthSettings = Pick<CreateAuthenticatorOptions, 'storage'> &
  Pick<GatewaySettings, 'publicUrl'> & {
    /** Undefined for an open registry: every caller may do everything. */
    auth: AuthConfig | undefined;
    /** How many uploads a process runs at once; further ones wait. */
    uploadsAtOnce: number;
    /** How many downloads a process runs at once; further ones wait. */
    downloadsAtOnce: number;
  };

export type CreateAuthOptions = Omit<CreateAuthenticatorOptions, 'storage'> & { audit?: Audit };

/** What the routes use to identify callers, to check their rights, and to limit their transfers. */
export type Auth = {
  gate: Gate;
  limits: RequestLimits;
  /** Absent for an open registry. */
  login?: {
    authenticator: Pick<Authenticator, 'areUsersCurrent' | 'usersProblem' | 'login' | 'holderOf' | 'findHolder'>;
    v1Tokens: V1Tokens;
    tokenService: TokenService;
  };
};

/**
 * Creates what one process needs to identify callers.
 * @throws Error if the users cannot be read
 */
export async function createAuth(settings: AuthSettings, options: CreateAuthOptions): Promise<Auth> {
  const { auth: config, storage, publicUrl } = settings;
  const { keys, audit } = options;
  const limits = limitsOf(settings, options.log);
  if (!config) return { gate: Gate.forOpenRegistry({ ...(audit && { audit }) }), limits };
  const { createAuthenticator } = await import('./create-authenticator.ts'); // an open registry does not load it
  const authenticator = await createAuthenticator(config, { ...options, storage });
  const permissions = new Permissions(config.rules);
  const challenges = new Challenges({ realm: config.realm, offersTokens: permissions.allowsAnonymous, publicUrl });
  return {
    gate: new Gate({ login: { authenticator, challenges }, permissions, ...(audit && { audit }) }),
    limits,
    login: {
      authenticator,
      v1Tokens: new V1Tokens(keys),
      tokenService: new TokenService(authenticator, permissions, new AccessTokens(keys)),
    },
  };
}

function limitsOf({ auth, uploadsAtOnce, downloadsAtOnce }: AuthSettings, log: Log): RequestLimits {
  const hasLogins = auth !== undefined;
  return new RequestLimits({
    uploads: new ConcurrencyLimit({
      what: 'uploads',
      atOnce: uploadsAtOnce,
      // An anonymous caller is known by its address, which many clients may share.
      ...(hasLogins && { perCaller: MAX_UPLOADS_PER_CALLER }),
      ...loggingTo(log, 'cut off a stalled upload'),
    }),
    downloads: new ConcurrencyLimit({
      what: 'downloads',
      atOnce: downloadsAtOnce,
      ...loggingTo(log, 'cut off a stalled download'),
    }),
    hasLogins,
  });
}

function loggingTo(log: Log, message: string): Pick<ConcurrencyLimitOptions, 'onCutOff'> {
  return { onCutOff: ({ caller, bytes }) => log.info(message, { caller, bytes }) };
}
