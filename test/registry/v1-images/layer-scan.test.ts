import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { LayerScan } from '../../../lib/registry/v1-images/layer-scan.ts';
import { tar } from '../../support/tar.ts';

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const unpacked = tar([{ path: 'file', content: Buffer.from('content') }]);
const layer = gzipSync(unpacked);

for (const firstBytes of [1, 2, 10, layer.length]) {
  test(`a gzip layer is measured whose first chunk has ${firstBytes} bytes`, async () => {
    async function* body() {
      yield layer.subarray(0, firstBytes);
      yield layer.subarray(firstBytes);
    }
    const scan = new LayerScan();
    const passed: Uint8Array[] = [];
    for await (const chunk of scan.through(body())) passed.push(chunk);
    assert.ok(Buffer.concat(passed).equals(layer));
    assert.deepEqual(scan.facts, {
      sizeBytes: layer.length,
      digest: sha256(layer),
      format: 'gzip',
      diffId: sha256(unpacked),
    });
  });
}
