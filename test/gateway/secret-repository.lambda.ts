// What a caller without the right to pull can learn about a repository, behind the gateway.
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { secretRepositorySuite, USERS } from '../auth/secret-repository.ts';
import { startRegistry } from '../support/registry-server.ts';
import { deployWithAccess } from './deploy-with-access.ts';

secretRepositorySuite('behind the gateway', {
  async start(access, isOpenToAll) {
    const deployment = await deployWithAccess(USERS, access, isOpenToAll);
    const driver = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: 'registry/' });
    // A v1 client would go on at the host that the registry says it has, which is none that it could reach here.
    const besides = await startRegistry(driver, { v1Layers: 'link' });
    return {
      url: deployment.gateway.url,
      pushUrl: besides.url,
      hasOpenSessions: false,
      idle: () => besides.idle(),
      async stop() {
        await besides.stop();
        await driver.close();
        await deployment.stop();
      },
    };
  },
});
