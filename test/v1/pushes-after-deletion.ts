import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { V1Engine } from '../support/v1-engine.ts';
import { imageCalls } from './image-calls.ts';
import { newImage, newRepository, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Pushes of images that are stored, but unknown because all of their tags were deleted. */
export function v1PushesAfterDeletionSuite(name: string, open: OpenStorage): void {
  describe(`v1 pushes of deleted images, on ${name}`, () => {
    const storage = useStorage(open);
    let written: string[] = [];
    const registry = useRegistry(storage, {
      alter: (driver) =>
        alterDriver(driver, (original) => ({
          put(key, body, options) {
            written.push(key);
            return original.put(key, body, options);
          },
          putStream(key, body, options) {
            written.push(key);
            return original.putStream(key, body, options);
          },
        })),
    });
    const { putJson, putLayer, putChecksum, confirm, hasMark, assertReadable } = imageCalls(storage, registry);
    const statusOf = async (id: string, part = 'json') =>
      (await registry.send('GET', `/v1/images/${id}/${part}`)).status;
    const tag = async (repository: string, id: string) =>
      (await registry.send('PUT', `/v1/repositories/${repository}/tags/latest`, { body: JSON.stringify(id) })).status;

    /** A chain that was pushed and tagged more than a day ago, and whose repository has been deleted. */
    const deletedChain = async (): Promise<[V1Image, V1Image]> => {
      const base = newImage();
      const top = newImage({ parent: base });
      const repository = newRepository();
      await new V1Client(registry.url).push(repository, [base, top], { latest: top.id });
      assert.equal((await registry.send('DELETE', `/v1/repositories/${repository}/`)).status, 200);
      for (const { id } of [base, top]) {
        for await (const { key } of storage.driver.list(`oci/images/${id}/pushers/` as KeyPrefix)) {
          await storage.driver.delete(key as Key);
        }
        assert.equal(await statusOf(id), 404);
      }
      written = [];
      return [base, top];
    };

    it('succeed as if the image were new, and write no object of it twice', async () => {
      const chain = await deletedChain();
      for (const image of chain) {
        const { id } = image;
        assert.equal((await putJson(id, image.json)).status, 200);
        assert.equal(await hasMark(id), false);
        assert.equal(await statusOf(id), 404, 'the JSON alone is no right');
        assert.equal((await putLayer(id, image.layer)).status, 200);
        assert.equal(await statusOf(id), 404);
        assert.equal((await confirm(image)).status, 200);
        await assertReadable(image);
      }
      assert.deepEqual(
        written.filter((key) => key.startsWith('images/')),
        [],
      );
      const repository = newRepository();
      assert.equal(await tag(repository, chain[1].id), 200);
      assert.equal((await new V1Client(registry.url).pull(repository, 'latest')).length, 2);
    });

    it('succeed from Docker, which then builds on the image', async () => {
      for (const version of ['0.11.1', '1.5.0', '1.9.1'] as const) {
        const [base, top] = await deletedChain();
        const child = newImage({ parent: top });
        const repository = newRepository();
        await new V1Engine(version, registry.url).push(repository, [base, top, child], { latest: child.id });
        assert.equal((await new V1Client(registry.url).pull(repository, 'latest')).length, 3);
      }
    });

    it('need all of the bytes: the id, the JSON or the checksum alone gives no right', async () => {
      const [base] = await deletedChain();
      const { id } = base;
      const other = newImage({ id, comment: 'other' });
      assert.equal((await putLayer(id, base.layer)).status, 409, 'without a JSON');
      for (const [json, layer] of [
        [other.json, other.layer],
        [other.json, base.layer],
        [base.json, Buffer.alloc(base.layer.length, 'x')],
        [base.json, Buffer.alloc(0)],
      ] as const) {
        assert.equal((await putJson(id, json)).status, 200);
        assert.equal((await putLayer(id, layer)).status, 409);
        for (const sum of [payloadSum(json, layer), payloadSum(base.json, base.layer)]) {
          assert.equal((await putChecksum(id, { 'X-Docker-Checksum-Payload': sum })).status, 409);
        }
        assert.equal(await statusOf(id), 404);
        assert.equal(await tag(newRepository(), id), 404);
      }
      assert.deepEqual(
        written.filter((key) => key.startsWith('images/')),
        [],
      );
      assert.equal(await hasMark(id), false);
      // The client that has all of the bytes can push it.
      await registry.push(base);
      await assertReadable(base);
    });

    it('succeed from several clients at the same time', async () => {
      const [base] = await deletedChain();
      await Promise.all([registry.push(base), registry.push(base), registry.push(base)]);
      await assertReadable(base);
      assert.deepEqual(
        written.filter((key) => key.startsWith('images/')),
        [],
      );
    });

    it('succeed after an interrupted push of the same client', async () => {
      const [base] = await deletedChain();
      assert.equal((await putJson(base.id, base.json)).status, 200);
      assert.equal(await statusOf(base.id), 404);
      await registry.push(base);
      await assertReadable(base);
    });
  });
}
