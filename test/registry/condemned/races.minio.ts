import { S3Driver } from '../../../lib/storage/s3-driver.ts';
import { startConditionalDeleteProxy } from '../../storage/conditional-delete-proxy.ts';
import { type OpenedStorage, openS3 } from '../../storage/open.ts';
import { startMinio, unfinishedUploads } from '../../support/minio.ts';
import { racesSuite } from './races.ts';

racesSuite('MinIO, which ignores conditions of DELETE', openS3, 'gone form');
racesSuite('a server that honors conditions of DELETE', openWithConditionalDeletes, 'DELETE');

async function openWithConditionalDeletes(): Promise<OpenedStorage> {
  const minio = await startMinio();
  const proxy = await startConditionalDeleteProxy(minio);
  const driver = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  return {
    driver,
    leftovers: () => unfinishedUploads(minio),
    async close() {
      await driver.close();
      await proxy.close();
      await minio.stop();
    },
  };
}
