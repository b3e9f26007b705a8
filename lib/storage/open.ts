import type { StorageDriver } from './driver.ts';
import type { S3DriverOptions } from './s3-client.ts';

/** Where a registry keeps everything. */
export type StorageConfig = { driver: 'local'; path: string } | { driver: 's3'; options: S3DriverOptions };

/**
 * Opens what the configuration names.
 * @throws Error that says what is wrong with the directory or bucket
 */
export async function openStorage(config: StorageConfig): Promise<StorageDriver> {
  // Each is loaded only where it is used: a registry on disk starts without the AWS SDK.
  if (config.driver === 'local') {
    const { FilesDriver } = await import('./files.ts');
    return await FilesDriver.open(config.path);
  }
  const { S3Driver } = await import('./s3.ts');
  const driver = new S3Driver(config.options);
  await driver.verifyBucket();
  return driver;
}
