import { S3Driver } from '../../../lib/storage/s3-driver.ts';
import { startConditionalDeleteProxy } from '../../storage/conditional-delete-proxy.ts';
import { startMinio } from '../../support/minio.ts';
import { Bucket } from './bucket.ts';
import { imagesSuite } from './images.ts';
import { onMinio } from './open.ts';

// There the cells of removed images stay, in the gone form.
onMinio(imagesSuite);

imagesSuite('S3 with conditional deletes', async () => {
  const minio = await startMinio();
  const proxy = await startConditionalDeleteProxy(minio);
  const driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  const close = async () => {
    await driver.close();
    await proxy.close();
    await minio.stop();
  };
  return { bucket: await Bucket.withClock(driver), close };
});
