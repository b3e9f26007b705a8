import { S3Driver } from '../../../lib/storage/s3-driver.ts';
import { startFaultyProxy } from '../../storage/faulty-proxy.ts';
import { startMinio } from '../../support/minio.ts';
import { projectionRequestsSuite } from './requests.ts';

projectionRequestsSuite('MinIO', async () => {
  const minio = await startMinio();
  const proxy = await startFaultyProxy(minio.endpoint);
  const driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  await driver.findLimitations(); // as a server does at its start
  const close = async () => {
    await driver.close();
    await proxy.close();
    await minio.stop();
  };
  const requests = () => proxy.requests.map(({ method, url }) => `${method} ${url}`);
  const clear = () => void proxy.requests.splice(0);
  return { driver, requests, clear, close };
});
