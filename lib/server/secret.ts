import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { Log } from '../model/log.ts';
import { configuredStorage } from '../storage/open.ts';

/** A secret for a server whose configuration has none. */
export function createSecret(config: Pick<Config, 'storage' | 'auth'>, log: Log): string {
  // On disk without logins a restart loses only unfinished uploads, which is not worth a warning.
  if (configuredStorage(config.storage).isShared || config.auth) {
    log.warning('secret_key is not set: upload sessions and tokens are valid in this server only and end with it');
  }
  return randomBytes(32).toString('hex');
}
