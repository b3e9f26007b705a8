import type { StorageConfig } from '../storage/open.ts';
import { STORAGES } from './keys.ts';
import { readS3Options } from './s3-options.ts';
import type { Settings } from './settings.ts';

/** @throws ConfigError */
export function readStorage(settings: Settings): StorageConfig {
  const driver = settings.get('storage');
  if (driver === undefined) settings.missing('storage', `allowed: ${STORAGES}`);
  switch (driver) {
    case 'local': {
      const path = settings.get('storage_path', './tmp');
      warnOfDefaultPath(settings, path);
      return { driver, path };
    }
    case 's3': {
      const options = readS3Options(settings);
      warnOfDefaultPath(settings, options.keyPrefix);
      return { driver, options };
    }
  }
}

function warnOfDefaultPath(settings: Settings, path: string): void {
  if (!settings.isDefault('storage_path')) return;
  settings.warn('storage_path', `is missing: all objects are kept in ${path}, as docker-registry did`);
}
