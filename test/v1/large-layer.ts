import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../lib/streams/bytes.ts';
import { newImage, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** How much memory a layer may add to client and registry together. The parts on S3 take about 60 MiB of it. */
const LIMIT_MIB = 192;

/**
 * A layer passes through without being held in memory.
 * @param layerMib more than the memory limit, so that holding it fails the test
 */
export function v1LargeLayerSuite(name: string, open: OpenStorage, { layerMib }: { layerMib: number }): void {
  describe(`a v1 layer of ${layerMib} MiB on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);

    it('passes through with constant memory', { timeout: 120_000 }, async (t) => {
      const { id, json } = newImage();
      const sum = createHash('sha256').update(json).update('\n');
      await registry.push(newImage()); // so that all code is loaded
      await registry.send('PUT', `/v1/images/${id}/json`, { body: json });
      const before = process.memoryUsage.rss();
      const watch = watchMemory();
      const status = await putLayer(registry.url, id, layerMib, (chunk) => sum.update(chunk));
      const peakMiB = ((await watch()) - before) / MiB;
      t.diagnostic(`${peakMiB.toFixed(0)} MiB more than before`);
      assert.equal(status, 200);
      assert.ok(peakMiB < LIMIT_MIB, `${peakMiB.toFixed(0)} MiB`);
      const headers = { 'X-Docker-Checksum-Payload': `sha256:${sum.digest('hex')}` };
      assert.equal((await registry.send('PUT', `/v1/images/${id}/checksum`, { headers })).status, 200);
      const { header } = await registry.send('HEAD', `/v1/images/${id}/layer`);
      assert.equal(header('Content-Length'), String(layerMib * MiB));
    });
  });
}

/** Sends a layer in chunks, with back-pressure. */
async function putLayer(
  { hostname, port }: URL,
  id: string,
  sizeMib: number,
  onSend: (chunk: Uint8Array) => void,
): Promise<number> {
  const headers = { 'Transfer-Encoding': 'chunked' };
  const outgoing = request({ hostname, port, method: 'PUT', path: `/v1/images/${id}/layer`, headers, agent: false });
  const status = new Promise<number>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      incoming.resume();
      incoming.on('end', () => resolve(incoming.statusCode ?? 0));
    });
  });
  const chunk = Buffer.alloc(MiB, 'layer ');
  for (let sent = 0; sent < sizeMib; sent++) {
    onSend(chunk);
    await new Promise((resolve) => outgoing.write(chunk, resolve));
  }
  outgoing.end();
  return await status;
}

/** Measures the memory of this process until the returned function is called, which returns the maximum. */
function watchMemory(): () => Promise<number> {
  let peakBytes = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
      await sleep(20);
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return peakBytes;
  };
}
