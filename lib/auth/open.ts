import type { AuthConfig } from '../config/auth.ts';
import type { StorageConfig } from '../config/config.ts';
import type { Log } from '../log.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { AccessTokens } from './access-tokens.ts';
import type { Audit } from './audit.ts';
import { Authenticator } from './authenticator.ts';
import { Challenges } from './challenges.ts';
import { Gate } from './gate.ts';
import type { Keys } from './keys.ts';
import type { OidcLogins } from './oidc-logins.ts';
import { type ComparePassword, PasswordLogins } from './password-logins.ts';
import { Permissions } from './permissions.ts';
import { Robots } from './robots.ts';
import { FileSource, type TextSource } from './text-source.ts';
import { TokenService } from './token-service.ts';
import { Users } from './users.ts';
import { V1Tokens } from './v1-tokens.ts';

/** What the routes need to know who may do what. */
export type Auth = {
  gate: Gate;
  /** Absent where nobody is asked who they are. */
  tokens?: { v1: V1Tokens; service: TokenService };
};

export type OpenAuthOptions = {
  storage: StorageConfig;
  /** Where robots are kept. */
  driver: StorageDriver;
  keys: Keys;
  log: Log;
  audit?: Audit;
  /** How passwords are compared, if not in this thread. */
  comparePassword?: ComparePassword;
};

/**
 * Reads what the configuration names, for one process.
 * @param config absent for a registry where everybody may do everything
 * @throws Error if the users cannot be read
 */
export async function openAuth(config: AuthConfig | undefined, options: OpenAuthOptions): Promise<Auth> {
  const { keys, audit } = options;
  if (!config) return { gate: Gate.open(audit) };
  const { realm, rules, publicUrl } = config;
  const permissions = new Permissions(rules);
  const v1Tokens = new V1Tokens(keys);
  const accessTokens = new AccessTokens(keys);
  const authenticator = await openAuthenticator(config, options);
  const challenges = new Challenges({
    realm,
    offersTokens: permissions.letsAnonymousIn,
    ...(publicUrl !== undefined && { publicUrl }),
  });
  const gate = new Gate({ login: { authenticator, challenges }, permissions, ...(audit && { audit }) });
  return { gate, tokens: { v1: v1Tokens, service: new TokenService(authenticator, permissions, accessTokens) } };
}

/**
 * As much of it as tells who somebody is: for a gateway's authorizer.
 * @throws Error if the users cannot be read
 */
export async function openAuthenticator(config: AuthConfig, options: OpenAuthOptions): Promise<Authenticator> {
  const passwords = await openPasswords(config, options);
  const oidc = await openOidc(config, options);
  return new Authenticator({
    groups: config.groups,
    v1Tokens: new V1Tokens(options.keys),
    accessTokens: new AccessTokens(options.keys),
    robots: new Robots(options.driver),
    ...(passwords && { passwords }),
    ...(oidc && { oidc }),
  });
}

/** Loaded only where it is used. */
async function openOidc({ oidc }: AuthConfig, { log }: OpenAuthOptions): Promise<OidcLogins | undefined> {
  if (oidc.length === 0) return undefined;
  const { OidcLogins } = await import('./oidc-logins.ts');
  return new OidcLogins(oidc, log);
}

async function openPasswords(
  { htpasswd }: AuthConfig,
  { storage, log, comparePassword }: OpenAuthOptions,
): Promise<PasswordLogins | undefined> {
  if (!htpasswd) return undefined;
  return new PasswordLogins(await Users.open(await openSource(htpasswd, storage), log), comparePassword);
}

/** AWS's SDK is loaded only where it is used. */
export async function openSource(
  place: NonNullable<AuthConfig['htpasswd']>,
  storage: StorageConfig,
): Promise<TextSource> {
  switch (place.kind) {
    case 'file':
      return new FileSource(place.path);
    case 'secret': {
      const { SecretSource } = await import('./secret-source.ts');
      return new SecretSource(place.arn);
    }
    case 'object': {
      const { ObjectSource } = await import('./object-source.ts');
      return new ObjectSource(place.bucket, place.key, storage.driver === 's3' ? storage.options : undefined);
    }
  }
}
