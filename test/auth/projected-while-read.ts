import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type Key, type KeyPrefix, layout } from '../../lib/model/layout.ts';
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

/** A v1 image becomes a projection of a secret manifest while a caller reads it that had a right to the former image. */
export function projectedWhileReadSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`a v1 image that becomes a projection while it is read, on ${name}`, () => {
    let storage: OpenedStorage;
    /** Two processes. In `reader` a test can act directly before an object is read, or a folder is listed. */
    let server: RegistryServer;
    let reader: RegistryServer;
    let onRead: { key: Key | KeyPrefix; act: () => Promise<unknown> } | undefined;
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
            await actBefore(key);
            return await original.read(key);
          },
          async *list(prefix, options) {
            await actBefore(prefix);
            yield* original.list(prefix, options);
          },
        })),
      );
    });
    after(async () => {
      await server.stop();
      await reader.stop();
      await storage.close();
    });

    const actBefore = async (key: Key | KeyPrefix) => {
      const act = onRead?.key === key ? onRead.act : undefined;
      if (act) onRead = undefined;
      await act?.();
    };

    const get = (path: string, headers: Record<string, string>) => fetch(new URL(path, reader.url), { headers });

    /** Mallory pushes an image under the id of a future projection; `makeProjection` then makes the projection. */
    const pushUnderProjectionId = async (contents: string) => {
      const client = new V2Client(server.url, alice);
      const { digest, manifest, tars } = await pushImage(client, 'team/late', undefined, { contents: [contents] });
      const former = newImage({ id: digest.slice('sha256:'.length) });
      await new V1Client(server.url, mallory.Authorization).push('other/late', [former], { late: former.id });
      const makeProjection = async () => {
        assert.equal((await client.pushManifest('team/late', 'late', manifest)).status, 201);
        await server.idle();
      };
      return { former, makeProjection, tars };
    };

    for (const [part, keyOf] of [
      ['json', layout.imageJson],
      ['ancestry', layout.imageAncestry],
      ['layer', layout.image],
    ] as const) {
      it(`reveals nothing of the projection to a caller that had a right to the ${part} of the former image`, async () => {
        const { former, makeProjection } = await pushUnderProjectionId(`secret ${part}`);
        onRead = { key: keyOf(parseImageId(former.id)), act: makeProjection };
        const response = await get(`/v1/images/${former.id}/${part}`, mallory);
        assert.equal(onRead, undefined);
        assert.equal(response.status, 404);
        assert.deepEqual(await response.json(), { error: 'Image not found' });
      });
    }

    it('links nothing of the projection into the repository whose tag named the former image', async () => {
      const { former, makeProjection } = await pushUnderProjectionId('secret by v2');
      onRead = { key: layout.imageJson(parseImageId(former.id)), act: makeProjection };
      assert.equal((await get('/v2/other/late/manifests/late', mallory)).status, 404);
      assert.equal(onRead, undefined);
      assert.equal((await get('/v2/other/late/manifests/late', mallory)).status, 404);
    });

    it('is not cached by a process that has served it: a caller with a right to the projection gets its layer', async () => {
      const { former, makeProjection, tars } = await pushUnderProjectionId('secret that is remembered');
      const path = `/v1/images/${former.id}/layer`;
      assert.deepEqual(Buffer.from(await (await get(path, mallory)).bytes()), Buffer.from(former.layer));
      await makeProjection();
      assert.deepEqual(gunzipSync(await (await get(path, alice)).bytes()), tars[0]);
      assert.equal((await get(path, mallory)).status, 404);
    });
  });
}
