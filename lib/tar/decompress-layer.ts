import { ByteReader } from '../byte-reader.ts';
import { decompress } from '../compression/decompress.ts';
import { formatOf, HEAD_BYTES } from './layer-format.ts';

/** As `decompress`, for a layer whose format its first bytes say. */
export async function* decompressLayer(layer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(layer);
  try {
    const format = formatOf(await reader.peek(HEAD_BYTES));
    yield* decompress(reader.rest(), format);
  } finally {
    await reader.close();
  }
}
