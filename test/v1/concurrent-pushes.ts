import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alterDriver } from '../storage/altered-driver.ts';
import { payloadSum, type V1Image } from '../v1-client.ts';
import { imageCalls } from './image-calls.ts';
import { newImage, newImageId, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Two who push one image: case 24 of the reference. */
export function v1ConcurrentPushesSuite(name: string, open: OpenStorage): void {
  describe(`v1 pushes at the same time on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const { putJson, putLayer, confirm, hasMark, assertHidden, assertReadable } = imageCalls(storage, registry);

    describe('24: two pushes of one image', () => {
      const twoOf = (id: string): [V1Image, V1Image] => [
        newImage({ id, comment: 'a', layer: Buffer.from('layer of a') }),
        newImage({ id, comment: 'b', layer: Buffer.from('the layer of b') }),
      ];
      const stepsOf = (image: V1Image) => [
        () => putJson(image.id, image.json),
        () => putLayer(image.id, image.layer),
        () => confirm(image),
      ];
      /** Whatever became of it, what is shown is what one of the two has confirmed. */
      const assertWholeOrHidden = async (pushed: [V1Image, V1Image]) => {
        const [{ id }] = pushed;
        if (await hasMark(id)) {
          await assertHidden(id);
          await registry.push(pushed[1]);
          await assertReadable(pushed[1]);
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

      // Which of the two begins makes no difference.
      for (const order of interleavings(2, 3).map((rest) => `a${rest}`)) {
        it(`24: in the order ${order} end whole or hidden (bug 16)`, async () => {
          const pushed = twoOf(newImageId());
          const steps = { a: stepsOf(pushed[0]), b: stepsOf(pushed[1]) };
          for (const who of order) {
            const answer = await steps[who as 'a' | 'b'].shift()?.();
            assert.ok(answer && [200, 400, 409].includes(answer.status), answer?.text);
          }
          await assertWholeOrHidden(pushed);
        });
      }

      it('24: at the same time end whole or hidden (bug 16)', async () => {
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

      // The one push has compared its sum and is about to take the mark away; the other one changes what was compared.
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
          it(`24: of which one sends its ${part} ${where} while the other is confirmed end whole or hidden (bug 16)`, async () => {
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

/** Every order in which two that take their steps one after the other may take turns: `aab`, `aba`, `baa`. */
function interleavings(a: number, b: number): string[] {
  if (a === 0 || b === 0) return ['a'.repeat(a) + 'b'.repeat(b)];
  return [...interleavings(a - 1, b).map((rest) => `a${rest}`), ...interleavings(a, b - 1).map((rest) => `b${rest}`)];
}
