import type { AuthConfig } from '../config/auth.ts';
import type { StorageConfig } from '../config/config.ts';
import type { Log } from '../log.ts';
import { Authenticator } from './authenticator.ts';
import { PasswordLogins } from './password-logins.ts';
import { FileSource, type TextSource } from './text-source.ts';
import { Users } from './users.ts';

/**
 * Reads what the configuration names, for one process.
 * @throws Error if the users cannot be read
 */
export async function openAuthenticator(
  auth: AuthConfig,
  { storage, log }: { storage: StorageConfig; log: Log },
): Promise<Authenticator> {
  const source = auth.htpasswd && (await openSource(auth.htpasswd, storage));
  return new Authenticator({
    groups: auth.groups,
    ...(source && { passwords: new PasswordLogins(await Users.open(source, log)) }),
  });
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
