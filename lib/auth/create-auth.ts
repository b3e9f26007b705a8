import type { GatewaySettings } from '../http/gateway-quirks.ts';
import { ARRIVED_BYTES, BodyMemory, PARSED_BYTES } from '../limits/body-memory.ts';
import { MemoryLimit } from '../limits/memory-limit.ts';
import type { Audit } from './audit.ts';
import type { Authenticator } from './authenticator.ts';
import { Challenges } from './challenges.ts';
import type { AuthConfig, CreateAuthenticatorOptions, LoginSharing } from './create-authenticator.ts';
import { Gate } from './gate.ts';
import { RequestLimits } from './request-limits.ts';
import { Permissions } from './rules/permissions.ts';
import { TokenService } from './token-service.ts';
import { AccessTokens } from './tokens/access-tokens.ts';
import { V1Tokens } from './tokens/v1-tokens.ts';
import { createTransferLimits, type TransferLimits, type TransferSettings } from './transfer-limits.ts';

/** What the configuration says about callers. */
export type AuthSettings = Pick<CreateAuthenticatorOptions, 'storage'> &
  Pick<GatewaySettings, 'publicUrl'> &
  TransferSettings & {
    /** Undefined for an open registry: every caller may do everything. */
    auth: AuthConfig | undefined;
  };

export type CreateAuthOptions = Omit<CreateAuthenticatorOptions, 'storage' | 'sharing'> & {
  audit?: Audit;
  sharing?: AuthSharing;
};

/** What several workers of one server share, so that its limits hold for all of them together. */
export type AuthSharing = LoginSharing & { transfers: TransferLimits };

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
  const limits = limitsOf(settings, options);
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

function limitsOf(settings: AuthSettings, { log, sharing }: CreateAuthOptions): RequestLimits {
  return new RequestLimits({
    ...(sharing?.transfers ?? createTransferLimits(settings, log)),
    ...(sharing && { bodies: bodyMemoryOf(sharing.workers) }),
    hasLogins: settings.auth !== undefined,
  });
}

/** Each worker has its part of the memory: a body that is larger than that waits until it is the only one. */
function bodyMemoryOf(workers: number): BodyMemory {
  return new BodyMemory({
    arrived: new MemoryLimit({ maxBytes: ARRIVED_BYTES / workers }),
    parsed: new MemoryLimit({ maxBytes: PARSED_BYTES / workers }),
  });
}
