// The S3 driver against a server that honors conditions of deletes, without another program.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { storageContract } from './contract.ts';
import { startFakeS3 } from './fake-s3.ts';

storageContract('the S3 driver, on a server that honors conditions of deletes,', async () => {
  const server = await startFakeS3();
  const driver = new S3Driver(server.driverOptions);
  return {
    driver,
    leftovers: async () => server.unfinishedUploads(),
    close: async () => {
      await driver.close();
      await server.close();
    },
  };
});

it('the S3 driver finds out that a server honors conditions of deletes', async () => {
  const server = await startFakeS3();
  const driver = new S3Driver(server.driverOptions);
  assert.deepEqual(await driver.findLimitations(), []);
  await driver.close();
  await server.close();
});
