import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseImageId } from '../../lib/model/names.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, openTestAuth } from './test-auth.ts';

const ACCESS = [
  { repositories: 'team/*', users: 'alice', actions: '*' },
  { repositories: 'other/*', users: ['mallory', 'alice'], actions: '*' },
];

/** An image of v1 that becomes the view of something secret while somebody reads it who had a right to it. */
export function projectedWhileReadSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`a v1 image that becomes a view while it is read, on ${name}`, () => {
    let storage: OpenedStorage;
    /** Two processes: in one of them a test does something right before an object is read. */
    let server: RegistryServer;
    let reader: RegistryServer;
    let onRead: { key: Key; act: () => Promise<unknown> } | undefined;
    const alice = basic('alice');
    const mallory = basic('mallory');
    before(async () => {
      storage = await open();
      const start = async (driver: StorageDriver) => {
        const auth = await openTestAuth({ users: ['alice', 'mallory'], access: ACCESS });
        return await startRegistry(driver, { auth });
      };
      server = await start(storage.driver);
      reader = await start(
        alterDriver(storage.driver, (original) => ({
          async read(key) {
            const act = onRead?.key === key ? onRead.act : undefined;
            if (act) onRead = undefined;
            await act?.();
            return await original.read(key);
          },
        })),
      );
    });
    after(async () => {
      await server.stop();
      await reader.stop();
      await storage.close();
    });

    const get = (path: string, headers: Record<string, string>) => fetch(new URL(path, reader.url), { headers });

    /** What mallory has pushed under the id of a view, and what makes the view. */
    const take = async (contents: string) => {
      const client = new V2Client(server.url, alice);
      const { digest, manifest, tars } = await pushImage(client, 'team/late', undefined, { contents: [contents] });
      const squatter = newImage({ id: digest.slice('sha256:'.length) });
      await new V1Client(server.url, mallory.Authorization).push('other/late', [squatter], { late: squatter.id });
      const makeProjection = async () => {
        assert.equal((await client.pushManifest('team/late', 'late', manifest)).status, 201);
        await server.idle();
      };
      return { squatter, makeProjection, tars };
    };

    for (const [part, keyOf] of [
      ['json', layout.imageJson],
      ['ancestry', layout.imageAncestry],
      ['layer', layout.imageLayerDescriptor],
    ] as const) {
      it(`shows nothing of the view to who had a right to its ${part} when the request came`, async () => {
        const { squatter, makeProjection } = await take(`secret ${part}`);
        onRead = { key: keyOf(parseImageId(squatter.id)), act: makeProjection };
        const response = await get(`/v1/images/${squatter.id}/${part}`, mallory);
        assert.equal(onRead, undefined);
        assert.equal(response.status, 404);
        assert.deepEqual(await response.json(), { error: 'Image not found' });
      });
    }

    it('links nothing of the view into the repository whose tag had named it', async () => {
      const { squatter, makeProjection } = await take('secret by v2');
      onRead = { key: layout.imageJson(parseImageId(squatter.id)), act: makeProjection };
      assert.equal((await get('/v2/other/late/manifests/late', mallory)).status, 404);
      assert.equal(onRead, undefined);
      assert.equal((await get('/v2/other/late/manifests/late', mallory)).status, 404);
    });

    it('is not remembered by a process that had shown it: who may read the view gets the layer of the view', async () => {
      const { squatter, makeProjection, tars } = await take('secret that is remembered');
      const path = `/v1/images/${squatter.id}/layer`;
      assert.deepEqual(Buffer.from(await (await get(path, mallory)).bytes()), Buffer.from(squatter.layer));
      await makeProjection();
      assert.deepEqual(gunzipSync(await (await get(path, alice)).bytes()), tars[0]);
      assert.equal((await get(path, mallory)).status, 404);
    });
  });
}
