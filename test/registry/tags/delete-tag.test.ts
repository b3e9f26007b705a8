import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { alterDriver } from '../../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { V2Client } from '../../v2/client.ts';

describe('the deletion of a tag', () => {
  const requests: string[] = [];
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;

  before(async () => {
    storage = await openFiles();
    const recorded = alterDriver(storage.driver, (driver) => ({
      async read(key, ...rest) {
        requests.push(`read ${key}`);
        return await driver.read(key, ...rest);
      },
      async delete(key, options) {
        requests.push(`delete ${key}`);
        return await driver.delete(key, options);
      },
    }));
    server = await startRegistry(recorded, { runsBackgroundWork: false });
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  /** Pushes a tag by v1, which stores its metadata, and deletes it. */
  const deletionOf = async (repository: string, path: string, status: number) => {
    const image = newImage();
    await new V1Client(server.url).push(repository, [image], { latest: image.id });
    requests.length = 0;
    assert.equal((await client.send('DELETE', path)).status, status);
    return requests.toSorted();
  };

  it('by v1 deletes the metadata before the answer', async () => {
    const folder = 'repositories/deleted/v1';
    assert.deepEqual(await deletionOf('deleted/v1', '/v1/repositories/deleted/v1/tags/latest', 200), [
      `delete ${folder}/json`,
      `delete ${folder}/tag_latest`,
      `delete ${folder}/taglatest_json`,
      `read ${folder}/tag_latest`,
    ]);
  });

  it('by v2 takes two storage requests, and leaves the metadata to background work', async () => {
    const folder = 'repositories/deleted/v2';
    assert.deepEqual(await deletionOf('deleted/v2', '/v2/deleted/v2/manifests/latest', 202), [
      `delete ${folder}/tag_latest`,
      `read ${folder}/tag_latest`,
    ]);
  });
});
