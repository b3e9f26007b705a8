import xz from 'xz-decompress';
import { CorruptLayerError } from './corrupt-layer-error.ts';

/**
 * Unpacks xz, one stream or several. The library has room for one at a time in the whole process: another one waits until
 * this is read to its end or given up, so nobody may read two side by side from one source.
 * @throws CorruptLayerError also for a sum of another kind than CRC-32 and CRC-64, which `xz` writes unless told otherwise
 */
export async function* unpackXz(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isSourceToBlame = false;
  async function* watched() {
    try {
      yield* body;
    } catch (error) {
      isSourceToBlame = true;
      throw error;
    }
  }
  try {
    yield* new xz.XzReadableStream(ReadableStream.from(watched()));
  } catch (error) {
    if (isSourceToBlame) throw error;
    throw new CorruptLayerError('the layer is not well compressed', { cause: error });
  }
}
