import xz from 'xz-decompress';
import { CorruptLayerError } from './corrupt-layer-error.ts';

/**
 * Unpacks xz, one stream or several. The library unpacks one at a time in the whole process; another one waits until this is
 * read to its end or closed. A caller that reads two from the same source side by side would therefore wait forever.
 * @throws CorruptLayerError if it is not valid xz, or has another check than CRC-32 or CRC-64 (the default of `xz`)
 */
export async function* unpackXz(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let hasSourceFailed = false;
  async function* watched() {
    try {
      yield* body;
    } catch (error) {
      hasSourceFailed = true;
      throw error;
    }
  }
  try {
    yield* new xz.XzReadableStream(ReadableStream.from(watched()));
  } catch (error) {
    if (hasSourceFailed) throw error;
    throw new CorruptLayerError('the compressed layer is corrupt', { cause: error });
  }
}
