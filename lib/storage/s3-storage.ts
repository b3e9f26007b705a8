import type { ConfiguredStorage } from './configured-storage.ts';
import type { S3DriverOptions } from './s3-client.ts';

/** Objects in a bucket of S3, or of a server that speaks its protocol. */
export function s3Storage(options: S3DriverOptions): ConfiguredStorage {
  const { bucket, keyPrefix, endpoint } = options;
  const server = endpoint === undefined ? '' : ` at ${endpoint}`;
  return {
    location: `the bucket ${bucket}${server}${keyPrefix === '' ? '' : `, below ${keyPrefix}`}`,
    hasFreeCopies: false,
    isShared: true,
    async open({ verifies = true, locks } = {}) {
      // A registry on disk starts without it.
      const { S3Driver } = await import('./s3-driver.ts');
      const driver = new S3Driver(options, locks);
      // Without a configured region, presigned URLs depend on what it finds.
      if (verifies || options.region === undefined) await driver.verifyBucket();
      return driver;
    },
  };
}
