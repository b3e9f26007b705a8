import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { FILES, LAYERS } from './layer-samples.ts';
import { assertError } from './send.ts';
import { newImage, newImageId, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** `files` and `diff` of an image. */
export function v1LayerContentsSuite(name: string, open: OpenStorage): void {
  describe(`v1 contents of layers on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const filesOf = ({ id }: { id: string }, headers = {}) =>
      registry.send('GET', `/v1/images/${id}/files`, { headers });
    const diffOf = ({ id }: { id: string }, headers = {}) => registry.send('GET', `/v1/images/${id}/diff`, { headers });

    for (const [form, layer] of Object.entries(LAYERS)) {
      it(`the files of a ${form} are listed, and the list is stored as docker-registry stored it`, async () => {
        const image = newImage({ layer });
        await registry.push(image);
        const answer = await filesOf(image);
        assert.equal(answer.status, 200);
        assert.equal(answer.header('Content-Type'), 'application/json');
        assert.equal(answer.header('Cache-Control'), 'public, max-age=31536000');
        assert.deepEqual(answer.json(), FILES);
        assert.equal(await storage.textOf(`images/${image.id}/_files`), answer.text);
        assert.match(answer.text, /^\[\["\/", "d", false, 0, /, 'as json.dumps writes it');
        assert.equal((await filesOf(image)).text, answer.text);
      });
    }

    for (const [title, layer] of [
      ['text', Buffer.from('neither a tar nor anything that was packed\n')],
      ['text of many blocks', Buffer.alloc(10_000, 'text ')],
      ['half a gzip', LAYERS['tar.gz']?.subarray(0, 150)],
      ['half a tar', LAYERS.tar?.subarray(0, 1540)],
    ] as const) {
      it(`${title} is a layer, but its files cannot be listed`, async () => {
        const image = newImage({ layer: layer ?? Buffer.alloc(0) });
        await registry.push(image);
        for (let round = 0; round < 2; round++) {
          const answer = await filesOf(image);
          assertError(answer, 400, 'Layer format not supported');
          assert.equal(answer.header('Cache-Control'), 'no-cache');
        }
        assert.equal(await storage.textOf(`images/${image.id}/_files`), undefined);
        assert.equal((await registry.send('GET', `/v1/images/${image.id}/layer`)).status, 200);
      });
    }

    it('a stored list is served unchanged', async () => {
      const image = newImage();
      await registry.push(image);
      await storage.put(`images/${image.id}/_files`, '[["/stored", "f", false, 1, 2, 3, 4, 5]]');
      assert.equal((await filesOf(image)).text, '[["/stored", "f", false, 1, 2, 3, 4, 5]]');
    });

    it('the list that 0.6.5 stored for a failed push is not served for the next push', async () => {
      const image = newImage({ ...(LAYERS.tar && { layer: LAYERS.tar }) });
      await registry.beginPush(newImage({ id: image.id, layer: Buffer.from('of a push that failed') }));
      await storage.put(`images/${image.id}/_files`, '[["/of-a-push-that-failed", "f", false, 1, 2, 3, 4, 5]]');
      await storage.put(`images/${image.id}/_diff`, '{"deleted": {}}');
      await registry.push(image);
      assert.deepEqual((await filesOf(image)).json(), FILES);
      assertError(await diffOf(image), 400, 'Diff queue is disabled');
    });

    it('without a stored diff the answer is 400', async () => {
      const image = newImage();
      await registry.push(image);
      const answer = await diffOf(image);
      assertError(answer, 400, 'Diff queue is disabled');
      assert.equal(answer.header('Cache-Control'), 'no-cache');
    });

    it('a stored diff is served byte for byte', async () => {
      const image = newImage();
      await registry.push(image);
      const diff = '{ "deleted":{},"changed": {}, "created": {"/x": ["f", false, 0, 0, 420, 0, 0]}}\n';
      await storage.put(`images/${image.id}/_diff`, diff);
      const answer = await diffOf(image);
      assert.deepEqual([answer.status, answer.text], [200, diff]);
      assert.equal(answer.header('Content-Type'), 'application/json');
      assert.equal(answer.header('Cache-Control'), 'public, max-age=31536000');
    });

    for (const [part, get] of [
      ['files', filesOf],
      ['diff', diffOf],
    ] as const) {
      describe(`the ${part}`, () => {
        const complete = newImage();
        const incomplete = newImage();
        before(async () => {
          await registry.push(complete);
          await registry.beginPush(incomplete);
          for (const { id } of [complete, incomplete]) await storage.put(`images/${id}/_${part}`, '[]');
        });

        it(`the ${part} of an incomplete image are hidden`, async () => {
          for (const headers of [{}, { 'If-Modified-Since': 'x' }]) {
            assertError(await get(incomplete, headers), 400, 'Image is being uploaded, retry later');
          }
        });

        it(`If-Modified-Since of the ${part} of a complete image is 304`, async () => {
          const answer = await get(complete, { 'If-Modified-Since': 'nonsense' });
          assert.deepEqual([answer.status, answer.text], [304, '']);
          assert.equal(answer.header('Cache-Control'), 'public, max-age=31536000');
        });

        it(`If-Modified-Since of the ${part} of an unknown image is 404`, async () => {
          assertError(await get({ id: newImageId() }, { 'If-Modified-Since': 'x' }), 404, 'Image not found');
        });

        it(`the ${part} of an unknown image are 404 and not cacheable`, async () => {
          const answer = await get({ id: newImageId() });
          assertError(answer, 404, 'Image not found');
          assert.equal(answer.header('Cache-Control'), 'no-cache');
          assertError(await get({ id: 'a'.repeat(63) }), 404, 'Invalid image ID');
        });

        it(`the ${part} of an image without a layer are 404`, async () => {
          const id = newImageId();
          await storage.put(`images/${id}/json`, JSON.stringify({ id }));
          await storage.put(`images/${id}/ancestry`, JSON.stringify([id]));
          assertError(await get({ id }), 404, 'Image not found');
        });
      });
    }
  });
}
