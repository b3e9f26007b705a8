import { decompress } from '../compression/decompress.ts';
import type { UnpackLimits } from '../compression/unpack-limits.ts';
import { ByteReader } from '../streams/byte-reader.ts';
import { formatOf, HEAD_BYTES } from './layer-format.ts';

/** Unpacks a layer as `decompress` does, in the format that its first bytes tell. */
export async function* decompressLayer(
  layer: AsyncIterable<Uint8Array>,
  limits?: UnpackLimits,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(layer);
  try {
    const format = formatOf(await reader.peek(HEAD_BYTES));
    yield* decompress(reader.rest(), format, limits);
  } finally {
    await reader.close();
  }
}
