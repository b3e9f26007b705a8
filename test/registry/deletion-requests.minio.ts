import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { startFaultyProxy } from '../storage/faulty-proxy.ts';
import { startMinio } from '../support/minio.ts';
import { type CountedStorage, deletionRequestsSuite } from './deletion-requests.ts';

deletionRequestsSuite('MinIO, whose DELETE is not conditional', async (): Promise<CountedStorage> => {
  const minio = await startMinio();
  const proxy = await startFaultyProxy(minio.endpoint);
  const uncounted = new S3Driver(minio.driverOptions);
  const driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  return {
    driver,
    uncounted,
    takeRequests: () => proxy.requests.splice(0).map(({ method, url }) => `${method} ${url}`),
    mostOfTag: 9,
    async close() {
      await Promise.all([driver.close(), uncounted.close()]);
      await proxy.close();
      await minio.stop();
    },
  };
});
