import type { StorageConfig } from './config.ts';
import type { Settings } from './settings.ts';

/** Where users and their passwords are. */
export type HtpasswdPlace =
  | { kind: 'file'; path: string }
  | { kind: 'object'; bucket: string; key: string }
  | { kind: 'secret'; arn: string };

export type AuthConfig = {
  htpasswd: HtpasswdPlace | undefined;
  /** What clients show when they ask for a password. */
  realm: string;
  /** The members of each group. */
  groups: Record<string, string[]>;
};

const S3_URL = /^s3:\/\/([^/]*)\/(.+)$/;

/**
 * `undefined` if there is no `auth`: then the registry is open. A section that names nobody is an error, so that a variable
 * that was not set does not open it.
 * @throws ConfigError
 */
export function readAuth(settings: Settings, storage: StorageConfig): AuthConfig | undefined {
  if (!settings.isMap('auth')) return undefined;
  const htpasswd = settings.get('auth.htpasswd');
  if (htpasswd === undefined) {
    settings.fail('auth', 'names nobody who may log in; set auth.htpasswd, or auth to null for an open registry');
  }
  return {
    htpasswd: placeOf(htpasswd, settings, storage),
    realm: settings.get('auth.realm'),
    groups: settings.get('auth.groups', {}),
  };
}

function placeOf(text: string, settings: Settings, storage: StorageConfig): HtpasswdPlace {
  const [, bucket, key] = S3_URL.exec(text) ?? [];
  if (text.startsWith('arn:')) return { kind: 'secret', arn: text };
  if (key === undefined) return { kind: 'file', path: text };
  if (bucket) return { kind: 'object', bucket, key };
  if (storage.driver === 's3') return { kind: 'object', bucket: storage.options.bucket, key };
  return settings.fail('auth.htpasswd', "names an object of the registry's own bucket; it needs storage: s3");
}
