import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MiB } from '../../lib/bytes.ts';
import { type StorageDriver, StorageUnavailableError } from '../../lib/storage/driver.ts';
import { type RegistryServer, startRegistry } from '../registry-server.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { openFiles } from '../storage/open.ts';
import { locationOf, V2Client } from './client.ts';

describe('an upload whose earlier bytes cannot be read now', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    const read: StorageDriver['read'] = async (key) => {
      if (key.startsWith('oci/uploads/')) throw new StorageUnavailableError('not now');
      return await storage.driver.read(key);
    };
    server = await startRegistry(alterDriver(storage.driver, () => ({ read })));
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  it('is answered with 503 after the whole chunk, however large: who still sends reads no answer', async () => {
    const client = new V2Client(server.url);
    const first = await client.send('PATCH', await client.start('broken/app'), {
      body: new Uint8Array(100),
      headers: { 'Content-Range': '0-99' },
    });
    for (let round = 0; round < 3; round++) {
      const response = await client.send('PATCH', locationOf(first), {
        body: new Uint8Array(40 * MiB),
        headers: { 'Content-Range': `100-${100 + 40 * MiB - 1}` },
      });
      assert.equal(response.status, 503);
    }
  });
});
