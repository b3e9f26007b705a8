import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tarSum } from '../../lib/tar/tar-sum.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { tar } from '../support/tar.ts';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { type ImageCalls, imageCalls } from './image-calls.ts';
import type { Answer } from './send.ts';
import { newImage, newImageId, type OpenStorage, type TestRegistry, useRegistry, useStorage } from './use-registry.ts';

/** Engines that write different JSON for one image and compress its layer differently. */
const ENGINES = ['docker 0.11.1', 'docker 1.5.0', 'docker 1.9.1', 'docker 1.12.6'];

/** Concurrent pushes of one image. */
export function v1ConcurrentPushesSuite(name: string, open: OpenStorage): void {
  describe(`v1 pushes at the same time on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const second = useRegistry(storage);
    const { putJson, putLayer, putChecksum, confirm, hasMark, assertHidden, assertReadable } = imageCalls(
      storage,
      registry,
    );

    describe('two pushes of one image', () => {
      const twoOf = (id: string): [V1Image, V1Image] => [
        newImage({ id, comment: 'a', layer: Buffer.from('layer of a') }),
        newImage({ id, comment: 'b', layer: Buffer.from('the layer of b') }),
      ];
      const stepsOf = (image: V1Image) => [
        () => putJson(image.id, image.json),
        () => putLayer(image.id, image.layer),
        () => confirm(image),
      ];
      /** If the image is visible, it is the one that one of the two pushes has confirmed. */
      const assertWholeOrHidden = async (pushed: V1Image[]) => {
        const [first, second = first] = pushed;
        assert.ok(first && second);
        const { id } = first;
        if (await hasMark(id)) {
          await assertHidden(id);
          await registry.push(second);
          await assertReadable(second);
          return;
        }
        const json = await registry.send('GET', `/v1/images/${id}/json`);
        const layer = await registry.send('GET', `/v1/images/${id}/layer`);
        assert.deepEqual([json.status, layer.status], [200, 200]);
        const sum = payloadSum(json.bytes, layer.bytes);
        assert.ok(
          pushed.some((image) => payloadSum(image.json, image.layer) === sum),
          `"${json.text}" with "${layer.text}"`,
        );
        assert.deepEqual(json.lines('X-Docker-Checksum-Payload'), [sum]);
        assert.equal(json.header('X-Docker-Size'), String(layer.bytes.length));
      };

      // The other orders are the same with the pushes exchanged.
      for (const order of interleavings(2, 3).map((rest) => `a${rest}`)) {
        it(`in the order ${order} end complete or hidden`, async () => {
          const pushed = twoOf(newImageId());
          const steps = { a: stepsOf(pushed[0]), b: stepsOf(pushed[1]) };
          for (const who of order) {
            const answer = await steps[who as 'a' | 'b'].shift()?.();
            assert.ok(answer && [200, 400, 409].includes(answer.status), answer?.text);
          }
          await assertWholeOrHidden(pushed);
        });
      }

      it('at the same time end complete or hidden', async () => {
        for (let round = 0; round < 10; round++) {
          const pushed = twoOf(newImageId());
          await Promise.all(
            pushed.map(async (image) => {
              for (const step of stepsOf(image)) {
                const answer = await step();
                assert.ok([200, 400, 409].includes(answer.status), answer.text);
              }
            }),
          );
          await assertWholeOrHidden(pushed);
        }
      });

      for (const where of ['one process', 'two processes'] as const) {
        it(`by engines that write different JSON and layers, to ${where}, all succeed`, async () => {
          for (let round = 0; round < 6; round++) {
            const processes = where === 'one process' ? [registry] : [registry, second];
            await assertOneOf(await pushTogether([...ENGINES, 'docker 1.12.6 again'], round, processes));
          }
        });
      }

      for (const order of interleavings(3, 3)) {
        it(`by engines that write different JSON, in the order ${order}, both succeed`, async () => {
          const pushed = twoOf(newImageId());
          const steps = { a: stepsOf(pushed[0]), b: stepsOf(pushed[1]) };
          // The checksum of the push whose layer came second waits for the other one.
          const answers: Promise<void>[] = [];
          for (const who of order) {
            const own = steps[who as 'a' | 'b'];
            const isJson = own.length === 3;
            const step = own.shift();
            if (!step) continue;
            const answer = step().then(({ status, text }) => {
              // Docker then continues with the next image.
              if (isJson && text.includes('Image already exists')) own.length = 0;
              else assert.equal(status, 200, text);
            });
            answers.push(answer);
            await Promise.race([answer, sleep(250)]);
          }
          await Promise.all(answers);
          await assertOneOf(pushed.map((image) => [image]));
        });
      }

      it('of which the first is interrupted: the other succeeds, and again when repeated', async () => {
        const [a, b] = twoOf(newImageId());
        await registry.beginPush(a);
        await registry.push(b);
        await assertOneOf([[b]]);
        const c = newImage({ id: newImageId() });
        await putJson(c.id, c.json);
        await registry.push(newImage({ id: c.id, comment: 'other' }));
        assert.equal(await hasMark(c.id), false);
      });

      it('of which the second sends a TarSum only, after the first with different JSON was interrupted', async () => {
        const layer = tar([{ path: 'x', content: Buffer.from('x') }]);
        const [first, second] = [newImage({ layer }), newImage({ layer, comment: 'docker 0.9' })];
        const image = { ...second, id: first.id, json: newImage({ id: first.id, layer, comment: 'docker 0.9' }).json };
        await registry.beginPush(first);
        assert.equal((await putJson(image.id, image.json)).status, 200);
        assert.equal((await putLayer(image.id, image.layer)).status, 200);
        const sum = await tarSum(image.json, new Blob([image.layer]).stream(), 0);
        const wrong = await putChecksum(image.id, { 'X-Docker-Checksum': `tarsum+sha256:${'0'.repeat(64)}` });
        assert.equal(wrong.status, 400);
        assert.equal((await putChecksum(image.id, { 'X-Docker-Checksum': sum })).status, 200);
        const answer = await registry.send('GET', `/v1/images/${image.id}/json`);
        assert.ok(answer.bytes.equals(image.json));
      });

      it('leave a bounded number of pending objects for each pusher', async () => {
        const image = newImage();
        await registry.beginPush(image);
        for (let count = 0; count < 20; count++) {
          await putJson(image.id, newImage({ id: image.id, comment: String(count) }).json);
        }
        assert.ok((await storage.keysBelow(`oci/images/${image.id}/pushes/`)).length <= 8);
        assert.equal((await confirm(image)).status, 200);
        for (let count = 0; count < 30; count++) {
          assert.equal((await putLayer(image.id, `layer ${count}`)).status, 200);
        }
        // The sum of each layer was computed with each JSON.
        assert.ok((await storage.keysBelow(`oci/images/${image.id}/pushes/`)).length <= 8 + 64 + 8);
        await assertReadable(image);
      });

      /** Each engine pushes a chain of its own under the same ids; all send the same step at the same moment. */
      const pushTogether = async (
        engines: string[],
        round: number,
        processes: TestRegistry[],
      ): Promise<V1Image[][]> => {
        const [base, top] = [newImageId(), newImageId()];
        const chains = engines.map((engine, at) => {
          const layerOf = (what: string) => Buffer.from(`${what}, as ${round % 2 === 0 ? engine : 'all'} compress it`);
          const parent = newImage({ id: base, comment: `by ${engine}`, layer: layerOf('base') });
          // Some engines write the same JSON for one of the images.
          const comment = at % 2 === round % 2 ? 'by all' : `by ${engine}`;
          return [parent, newImage({ id: top, parent, comment, layer: layerOf('top') })];
        });
        for (const index of [0, 1]) {
          const images = chains.map((chain) => chain[index] ?? assert.fail());
          const skipped = new Set<V1Image>();
          const all = async (step: (image: V1Image, calls: ImageCalls) => Promise<Answer>, mayExist = false) => {
            await Promise.all(
              images.map(async (image, at) => {
                if (skipped.has(image)) return;
                const process = processes[at % processes.length] ?? registry;
                const answer = await step(image, imageCalls(storage, process));
                if (mayExist && answer.text.includes('Image already exists')) skipped.add(image);
                else assert.equal(answer.status, 200, `${answer.status} ${answer.text}`);
              }),
            );
          };
          for (const { id } of images)
            assert.notEqual((await registry.send('GET', `/v1/images/${id}/json`)).status, 200);
          await all((image, calls) => calls.putJson(image.id, image.json), true);
          await all((image, calls) => calls.putLayer(image.id, image.layer));
          await all((image, calls) => calls.confirm(image));
          await all((image) =>
            registry.send('PUT', `/v1/repositories/tests/together/tags/${image.id.slice(0, 12)}`, {
              body: JSON.stringify(image.id),
            }),
          );
        }
        return [0, 1].map((index) => chains.map((chain) => chain[index] ?? assert.fail()));
      };

      /** Each image is complete and visible, as one of the engines pushed it. */
      const assertOneOf = async (pushed: V1Image[][]) => {
        const ids = new Set(pushed.flat().map(({ id }) => id));
        for (const id of ids) {
          assert.equal(await hasMark(id), false);
          await assertWholeOrHidden(pushed.flat().filter((image) => image.id === id));
          assert.equal((await registry.send('GET', `/v1/images/${id}/ancestry`)).status, 200);
        }
      };

      // One push has compared its checksum and is about to delete `_inprogress`; the other changes what was compared.
      let hold: Promise<void> | undefined;
      let onHeld = () => {};
      const held = useRegistry(storage, {
        alter: (driver) =>
          alterDriver(driver, (original) => ({
            async delete(key, options) {
              if (key.endsWith('/_inprogress')) {
                onHeld();
                await hold;
              }
              return await original.delete(key, options);
            },
          })),
      });
      const whileConfirming = async (image: V1Image, others: () => Promise<void>) => {
        const release = Promise.withResolvers<void>();
        const reached = Promise.withResolvers<void>();
        hold = release.promise;
        onHeld = reached.resolve;
        const headers = { 'X-Docker-Checksum-Payload': payloadSum(image.json, image.layer) };
        const confirming = held.send('PUT', `/v1/images/${image.id}/checksum`, { headers });
        await Promise.race([reached.promise, confirming]);
        const changing = others();
        await Promise.race([changing, sleep(300)]); // it may be made to wait for the other
        release.resolve();
        hold = undefined;
        await Promise.all([confirming, changing]);
      };

      for (const [where, other] of [
        ['to the same process', held],
        ['to another process', registry],
      ] as const) {
        for (const part of ['json', 'layer'] as const) {
          it(`of which one sends its ${part} ${where} while the other is confirmed end complete or hidden`, async () => {
            const [a, b] = twoOf(newImageId());
            await held.beginPush(a);
            await whileConfirming(a, async () => {
              await other.send('PUT', `/v1/images/${b.id}/${part}`, { body: b[part] });
            });
            await assertWholeOrHidden([a, b]);
          });
        }
      }
    });
  });
}

/** Every order in which the steps of two pushes may interleave: `aab`, `aba`, `baa`. */
function interleavings(a: number, b: number): string[] {
  if (a === 0 || b === 0) return ['a'.repeat(a) + 'b'.repeat(b)];
  return [...interleavings(a - 1, b).map((rest) => `a${rest}`), ...interleavings(a, b - 1).map((rest) => `b${rest}`)];
}
