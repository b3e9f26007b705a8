import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { parseDigest } from '../../../lib/model/names.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { V2Client } from '../../v2/client.ts';

describe('conversions of one image that are made at the same time', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  it('store one config', async () => {
    const image = newImage();
    await new V1Client(server.url).push('at/once', [image], { latest: image.id });
    const client = new V2Client(server.url);
    const pulls = Array.from({ length: 8 }, async () => {
      const pulled = await client.send('GET', '/v2/at/once/manifests/latest');
      assert.equal(pulled.status, 200);
      return ((await pulled.json()) as { config: { digest: string } }).config.digest;
    });
    const [digest, ...others] = await Promise.all(pulls);
    assert.deepEqual(new Set([digest, ...others]).size, 1);
    const folder = layout.blobFolder(parseDigest(digest ?? ''));
    const copies = await Array.fromAsync(storage.driver.list(folder), ({ key }) => key);
    assert.equal(copies.length, 1, copies.join('\n'));
  });
});
