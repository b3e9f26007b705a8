import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilesDriver } from '../../lib/storage/files.ts';
import type { OpenedStorage } from './contract.ts';

export type { OpenedStorage };

/** Storage in a new directory, which `close` removes. */
export async function openFiles(): Promise<OpenedStorage> {
  const root = await mkdtemp(join(tmpdir(), 'stowage-'));
  return {
    driver: await FilesDriver.open(root),
    leftovers: () => readdir(join(root, '.tmp')),
    close: () => rm(root, { recursive: true, force: true }),
  };
}

/** Storage in a bucket of a new MinIO, which `close` stops. */
export async function openS3(): Promise<OpenedStorage> {
  // Tests of storage on disk start without the AWS SDK.
  const { startMinio, unfinishedUploads } = await import('../support/minio.ts');
  const { S3Driver } = await import('../../lib/storage/s3-driver.ts');
  const minio = await startMinio();
  const driver = new S3Driver(minio.driverOptions);
  return {
    driver,
    leftovers: () => unfinishedUploads(minio),
    async close() {
      await driver.close();
      await minio.stop();
    },
  };
}
