import type { Log } from '../model/log.ts';
import type { SigningKeys } from '../model/signed-token.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { StorageConfig } from '../storage/open.ts';
import { Authenticator } from './authenticator.ts';
import type { OidcLogins, OidcRule } from './oidc/logins.ts';
import { type ComparePassword, PasswordLogins } from './passwords/password-logins.ts';
import { FileSource, type TextSource } from './passwords/text-source.ts';
import { Users } from './passwords/users.ts';
import type { AccessRule } from './rules/permissions.ts';
import { AccessTokens } from './tokens/access-tokens.ts';
import { Robots } from './tokens/robots.ts';
import { V1Tokens } from './tokens/v1-tokens.ts';

/** Where users and their passwords are. */
export type HtpasswdPlace =
  | { kind: 'file'; path: string }
  | { kind: 'object'; bucket: string; key: string }
  | { kind: 'secret'; arn: string };

/** Who there is, and what they may do. */
export type AuthConfig = {
  htpasswd: HtpasswdPlace | undefined;
  /** Identity providers whose tokens are taken. */
  oidc: OidcRule[];
  /** What clients show when they ask for a password. */
  realm: string;
  /** The members of each group. */
  groups: Record<string, string[]>;
  /** Who may do what; without rules whoever has logged in may do everything. */
  rules: AccessRule[] | undefined;
};

export type CreateAuthenticatorOptions = {
  storage: StorageConfig;
  /** Where robots are kept. */
  driver: StorageDriver;
  keys: SigningKeys;
  log: Log;
  /** How passwords are compared, if not in this thread. */
  comparePassword?: ComparePassword;
  /**
   * False where an error at the start would refuse every request: while the users cannot be read no password is accepted, and
   * robots and tokens of identity providers are. Default true.
   */
  needsUsers?: boolean;
};

/**
 * Reads who there is, for one process.
 * @throws Error if the users cannot be read but are needed
 */
export async function createAuthenticator(
  config: AuthConfig,
  options: CreateAuthenticatorOptions,
): Promise<Authenticator> {
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
async function openOidc({ oidc }: AuthConfig, { log }: CreateAuthenticatorOptions): Promise<OidcLogins | undefined> {
  if (oidc.length === 0) return undefined;
  const { OidcLogins } = await import('./oidc/logins.ts');
  return new OidcLogins(oidc, log);
}

async function openPasswords(
  { htpasswd }: AuthConfig,
  { storage, log, comparePassword, needsUsers = true }: CreateAuthenticatorOptions,
): Promise<PasswordLogins | undefined> {
  if (!htpasswd) return undefined;
  const users = await Users.open(await openSource(htpasswd, storage), log, { isRequired: needsUsers });
  return new PasswordLogins(users, comparePassword);
}

/** AWS's SDK is loaded only where it is used. */
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
      return new ObjectSource(place.bucket, place.key, storage.driver === 's3' ? storage.options : undefined);
    }
  }
}
