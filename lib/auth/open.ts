import type { AuthConfig } from '../config/auth.ts';
import type { StorageConfig } from '../config/config.ts';
import type { Log } from '../log.ts';
import type { Audit } from './audit.ts';
import { Authenticator } from './authenticator.ts';
import { Challenges } from './challenges.ts';
import { Gate } from './gate.ts';
import type { Keys } from './keys.ts';
import { PasswordLogins } from './password-logins.ts';
import { Permissions } from './permissions.ts';
import { FileSource, type TextSource } from './text-source.ts';
import { Users } from './users.ts';
import { V1Tokens } from './v1-tokens.ts';

/** What the routes need to know who may do what. */
export type Auth = {
  gate: Gate;
  /** Signs the tokens of v1's index; absent where nobody is asked who they are. */
  v1Tokens?: V1Tokens;
};

export type OpenAuthOptions = { storage: StorageConfig; keys: Keys; log: Log; audit?: Audit };

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
  const authenticator = await openAuthenticator(config, { ...options, v1Tokens });
  const challenges = new Challenges({
    realm,
    offersTokens: permissions.letsAnonymousIn,
    ...(publicUrl !== undefined && { publicUrl }),
  });
  const gate = new Gate({ login: { authenticator, challenges }, permissions, ...(audit && { audit }) });
  return { gate, v1Tokens };
}

async function openAuthenticator(
  { htpasswd, groups }: AuthConfig,
  { storage, log, v1Tokens }: OpenAuthOptions & { v1Tokens: V1Tokens },
): Promise<Authenticator> {
  const source = htpasswd && (await openSource(htpasswd, storage));
  const users = source && (await Users.open(source, log));
  return new Authenticator({ groups, v1Tokens, ...(users && { passwords: new PasswordLogins(users) }) });
}

/** AWS's SDK is loaded only where it is used. */
async function openSource(place: NonNullable<AuthConfig['htpasswd']>, storage: StorageConfig): Promise<TextSource> {
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
