import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { StorageConfig } from '../storage/open.ts';

/** Where objects are kept, to follow "in": `/srv/data`, `the bucket my-images, below registry/`. */
export function placeOf(storage: StorageConfig): string {
  if (storage.driver === 'local') return resolve(storage.path);
  const { bucket, keyPrefix } = storage.options;
  return `the bucket ${bucket}${keyPrefix === '' ? '' : `, below ${keyPrefix}`}`;
}

/**
 * For commands that write: the line that tells the operator that flavor and storage are the default's, because nothing chose
 * them. A server that was started with other variables uses another place.
 */
export function defaultNotice(
  { file, storage, flavor }: Pick<Config, 'file' | 'storage' | 'flavor'>,
  { env, hasFileOption }: { env: NodeJS.ProcessEnv; hasFileOption: boolean },
): string | undefined {
  const chosen = [env.SETTINGS_FLAVOR, env.STORAGE_PATH, env.DOCKER_REGISTRY_CONFIG].some((text) => text !== undefined);
  if (chosen || hasFileOption) return undefined;
  return `SETTINGS_FLAVOR is not set: this is the flavor ${flavor} of ${file}, which keeps everything in ${placeOf(storage)}; set it as for the server, if that has another`;
}
