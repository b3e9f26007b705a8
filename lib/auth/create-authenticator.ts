import type { Log } from '../model/log.ts';
import type { SigningKeys } from '../model/signed-token.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { type StorageConfig, s3OptionsOf } from '../storage/open.ts';
import { Authenticator } from './authenticator.ts';
import type { Throttle } from './login-throttle.ts';
import type { OidcLogins, OidcRule } from './oidc/logins.ts';
import { type ComparePassword, PasswordLogins, type PasswordSharing } from './passwords/password-logins.ts';
import { FileSource, type TextSource } from './passwords/text-source.ts';
import { Users } from './passwords/users.ts';
import type { AccessRule } from './rules/permissions.ts';
import { AccessTokens } from './tokens/access-tokens.ts';
import { Robots } from './tokens/robots.ts';
import { V1Tokens } from './tokens/v1-tokens.ts';

/** Where the users and their password hashes are. */
export type HtpasswdPlace =
  | { kind: 'file'; path: string }
  | { kind: 'object'; bucket: string; key: string }
  | { kind: 'secret'; arn: string };

/** The callers that the configuration names, and their rights. */
export type AuthConfig = {
  htpasswd: HtpasswdPlace | undefined;
  /** Identity providers whose tokens are accepted. */
  oidc: OidcRule[];
  /** What clients show when they ask for a password. */
  realm: string;
  /** The members of each group. */
  groups: Record<string, string[]>;
  /** Access rules; without them every user may do everything. */
  rules: AccessRule[] | undefined;
};

export type CreateAuthenticatorOptions = {
  /** How to reach the registry's own bucket, for a users file in it. */
  storage: StorageConfig;
  /** Where robots are kept. */
  driver: StorageDriver;
  keys: SigningKeys;
  log: Log;
  /** Default: in this thread. */
  comparePassword?: ComparePassword;
  /**
   * Reads the users at the first login by password, instead of now. While they cannot be read, no password is accepted;
   * robots and tokens of identity providers are. For Lambda functions, where an error at the start fails every request.
   */
  readsUsersLazily?: boolean;
  /** What several workers of one server share. */
  sharing?: LoginSharing;
};

export type LoginSharing = PasswordSharing & { throttle: Throttle };

/** @throws Error if the users cannot be read, unless they are read lazily */
export async function createAuthenticator(
  config: AuthConfig,
  options: CreateAuthenticatorOptions,
): Promise<Authenticator> {
  const passwords = await createPasswordLogins(config, options);
  const oidc = await createOidcLogins(config, options);
  return new Authenticator({
    groups: config.groups,
    v1Tokens: new V1Tokens(options.keys),
    accessTokens: new AccessTokens(options.keys),
    robots: new Robots(options.driver, options.sharing?.peers),
    ...(passwords && { passwords }),
    ...(oidc && { oidc }),
    ...(options.sharing && { throttle: options.sharing.throttle }),
  });
}

/** Loads the module only if an identity provider is configured. */
async function createOidcLogins(
  { oidc }: AuthConfig,
  { log }: CreateAuthenticatorOptions,
): Promise<OidcLogins | undefined> {
  if (oidc.length === 0) return undefined;
  const { OidcLogins } = await import('./oidc/logins.ts');
  return new OidcLogins(oidc, log);
}

async function createPasswordLogins(
  { htpasswd }: AuthConfig,
  { storage, log, comparePassword, readsUsersLazily = false, sharing }: CreateAuthenticatorOptions,
): Promise<PasswordLogins | undefined> {
  if (!htpasswd) return undefined;
  const source = await openSource(htpasswd, storage);
  const users = readsUsersLazily ? Users.lazy(source, log) : await Users.open(source, log);
  return new PasswordLogins(users, comparePassword, sharing);
}

/** Loads the AWS SDK only if the users are in S3 or Secrets Manager. */
export async function openSource(place: HtpasswdPlace, storage: StorageConfig): Promise<TextSource> {
  switch (place.kind) {
    case 'file':
      return new FileSource(place.path);
    case 'secret': {
      const { SecretSource } = await import('./passwords/secret-source.ts');
      return new SecretSource(place.arn);
    }
    case 'object': {
      const { ObjectSource } = await import('./passwords/object-source.ts');
      return new ObjectSource(place.bucket, place.key, s3OptionsOf(storage));
    }
  }
}
