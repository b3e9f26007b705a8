import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../lib/streams/bytes.ts';
import { V1Client } from '../support/v1-client.ts';
import { imageCalls } from './image-calls.ts';
import { newImage, newRepository, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Interrupted pushes. */
export function v1InterruptedPushesSuite(name: string, open: OpenStorage): void {
  describe(`interrupted v1 pushes on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const { putJson, hasMark, assertHidden, assertReadable } = imageCalls(storage, registry);

    for (const [size, sizeBytes] of [
      ['small', 10_000],
      ['large', 24 * MiB],
    ] as const) {
      for (const isChunked of [true, false]) {
        const how = isChunked ? 'in chunks' : 'with its length';
        it(`a ${size} layer, sent ${how}, whose connection is closed, leaves nothing`, async () => {
          const image = newImage();
          await putJson(image.id, image.json);
          const before = await storage.keysBelow('');
          const cut = await beginLayer(registry.url, image.id, { sizeBytes, isChunked });
          await until(async () => (await storage.leftovers()).length > 0 || size === 'small');
          await sleep(50); // the registry has taken what was sent
          assert.deepEqual(await storage.keysBelow(''), before, 'half a layer is nowhere to be seen');
          cut();
          await until(async () => (await storage.leftovers()).length === 0);
          await sleep(50);
          assert.deepEqual(await storage.keysBelow(''), before);
          assert.ok(await hasMark(image.id));
          await assertHidden(image.id);
          await registry.push(image);
          await assertReadable(image);
        });
      }
    }

    it('an interrupted push succeeds when it is repeated from its beginning', async () => {
      const base = newImage();
      const top = newImage({ parent: base });
      const repository = newRepository();
      await registry.push(base);
      await putJson(top.id, top.json);
      const cut = await beginLayer(registry.url, top.id, { sizeBytes: 100_000, isChunked: true });
      cut();
      const client = new V1Client(registry.url);
      await client.push(repository, [base, top], { latest: top.id });
      const pulled = await client.pull(repository, 'latest');
      assert.deepEqual(
        pulled.map(({ id }) => id),
        [base.id, top.id],
      );
    });
  });
}

/** Sends more than half of a layer. Returns a function that closes the connection. */
async function beginLayer(
  { hostname, port }: URL,
  id: string,
  { sizeBytes, isChunked }: { sizeBytes: number; isChunked: boolean },
): Promise<() => void> {
  const outgoing = request({
    hostname,
    port,
    method: 'PUT',
    path: `/v1/images/${id}/layer`,
    headers: isChunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(sizeBytes) },
    agent: false,
  });
  outgoing.on('error', () => undefined); // it is what this is for
  await new Promise((resolve) => outgoing.write(Buffer.alloc(Math.ceil(sizeBytes * 0.7), 'layer '), resolve));
  return () => outgoing.destroy();
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 3000; round++) {
    if (await isTrue()) return;
    await sleep(20);
  }
  assert.fail(`waited a minute for ${isTrue}`);
}
