import { S3Driver } from '../../../lib/storage/s3.ts';
import { startConditionalDeleteProxy } from '../../storage/conditional-delete-proxy.ts';
import { openS3 } from '../../storage/open.ts';
import { startMinio } from '../../support/minio.ts';
import { Bucket } from './bucket.ts';
import { imagesSuite } from './images.ts';

const SCALED = { graceMs: 1200, lookMs: 1000, minAgeMs: 1000, oldWritersMs: 90 };

// MinIO ignores the condition of a DELETE, so the cells of removed images stay, in the gone form.
imagesSuite('MinIO', async () => {
  const { driver, close } = await openS3();
  return { bucket: await Bucket.scaled(driver, SCALED, 1100), close };
});

imagesSuite('S3 with conditional deletes', async () => {
  const minio = await startMinio();
  const proxy = await startConditionalDeleteProxy(minio);
  const driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  const close = async () => {
    await driver.close();
    await proxy.close();
    await minio.stop();
  };
  return { bucket: await Bucket.scaled(driver, SCALED, 1100), close };
});
