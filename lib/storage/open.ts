// The only module that lists the kinds of storage. A new one needs a driver that passes test/storage/contract.ts, a
// ConfiguredStorage, a case here, and its keys in lib/config/keys.ts and lib/config/storage.ts; the compiler asks for the latter.
import type { ConfiguredStorage, OpenStorageOptions } from './configured-storage.ts';
import type { StorageDriver } from './driver.ts';
import { fileStorage } from './file-storage.ts';
import type { S3DriverOptions } from './s3-client.ts';
import { s3Storage } from './s3-storage.ts';

/** Where a registry keeps everything. */
export type StorageConfig = { driver: 'local'; path: string } | { driver: 's3'; options: S3DriverOptions };

export function configuredStorage(config: StorageConfig): ConfiguredStorage {
  switch (config.driver) {
    case 'local':
      return fileStorage(config.path);
    case 's3':
      return s3Storage(config.options);
  }
}

/** @throws Error that says what is wrong with the directory or bucket, and what to do */
export async function openStorage(config: StorageConfig, options?: OpenStorageOptions): Promise<StorageDriver> {
  return await configuredStorage(config).open(options);
}

/** How to reach the bucket, where storage is one: for other objects in S3, and for its events. */
export function s3OptionsOf(config: StorageConfig): S3DriverOptions | undefined {
  return config.driver === 's3' ? config.options : undefined;
}
