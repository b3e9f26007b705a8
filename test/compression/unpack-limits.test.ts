import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { decompress } from '../../lib/compression/decompress.ts';
import type { LayerFormat } from '../../lib/compression/layer-format.ts';
import { OversizedLayerError, type UnpackLimits } from '../../lib/compression/unpack-limits.ts';
import { KiB, MiB } from '../../lib/streams/bytes.ts';
import { chunked } from '../tar/byte-streams.ts';
import { furtherSamples } from './samples.ts';

const zeros = furtherSamples.find(({ title }) => title.includes('100 MiB of zeros'));

/** How many bytes are unpacked before the end or the error. */
async function unpackedBytes(packed: Uint8Array, format: LayerFormat, limits?: UnpackLimits) {
  let sizeBytes = 0;
  try {
    for await (const chunk of decompress(chunked(packed), format, limits)) sizeBytes += chunk.length;
    return { sizeBytes };
  } catch (error) {
    return { sizeBytes, error };
  }
}

describe('the size of an unpacked layer is limited', () => {
  const bombs: [LayerFormat, Uint8Array][] = [
    ['bzip2', zeros?.packed ?? Buffer.alloc(0)],
    ['zstd', zstdCompressSync(Buffer.alloc(100 * MiB))],
  ];
  for (const [format, packed] of bombs) {
    it(`${format}: by the ratio, from 16 MiB on`, async () => {
      const { sizeBytes, error } = await unpackedBytes(packed, format);
      assert.ok(error instanceof OversizedLayerError, String(error));
      assert.ok(sizeBytes <= 16 * MiB, `${sizeBytes} bytes`);
      const raised = { maxBytes: 200 * MiB, maxRatio: 1_000_000 };
      assert.deepEqual(await unpackedBytes(packed, format, raised), { sizeBytes: 100 * MiB });
    });
  }

  it('gzip: by the size only, because its format limits the ratio', async () => {
    const packed = gzipSync(Buffer.alloc(20 * MiB));
    assert.deepEqual(await unpackedBytes(packed, 'gzip', { maxBytes: 20 * MiB, maxRatio: 2 }), {
      sizeBytes: 20 * MiB,
    });
    const { sizeBytes, error } = await unpackedBytes(packed, 'gzip', { maxBytes: 20 * MiB - 1, maxRatio: 2 });
    assert.ok(error instanceof OversizedLayerError);
    assert.ok(sizeBytes < 20 * MiB);
  });

  it('a plain tar has no limit', async () => {
    assert.deepEqual(await unpackedBytes(Buffer.alloc(64 * KiB), 'tar', { maxBytes: 1, maxRatio: 1 }), {
      sizeBytes: 64 * KiB,
    });
  });
});
