import { relative, resolve, sep } from 'node:path';
import type { Key } from '../model/layout.ts';
import type { Config } from './config.ts';

/** The key of the users file that `auth.htpasswd` names, where it lies in storage itself. */
export function usersKeyOf({ auth, storage }: Pick<Config, 'auth' | 'storage'>): Key | undefined {
  const place = auth?.htpasswd;
  if (place?.kind === 'object' && storage.driver === 's3') {
    const { bucket, keyPrefix = '' } = storage.options;
    const isInside = place.bucket === bucket && place.key.startsWith(keyPrefix);
    return isInside ? (place.key.slice(keyPrefix.length) as Key) : undefined;
  }
  if (place?.kind !== 'file' || storage.driver !== 'local') return undefined;
  const path = relative(resolve(storage.path), resolve(place.path)).replaceAll(sep, '/');
  return path === '' || path.startsWith('../') ? undefined : (path as Key);
}
