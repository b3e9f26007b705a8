import { GiB, MiB } from '../streams/bytes.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import type { LayerFormat } from './decompress.ts';

/** How much a compressed layer may unpack to. */
export type UnpackLimits = {
  maxBytes: number;
  /** Unpacked bytes for each packed byte, for formats that set no such limit themselves: bzip2, xz and zstd. */
  maxRatio: number;
};

/** Layers of real images unpack to two to ten times their size; a file of zeros, to as much as its format allows. */
export const DEFAULT_UNPACK_LIMITS: UnpackLimits = { maxBytes: 100 * GiB, maxRatio: 200 };

/** The ratio counts for larger results only: a small file of zeros is common and costs little. */
export const ANY_RATIO_BYTES = 16 * MiB;

/** The layer is well-formed as far as it was read, and unpacks to more than the operator allows. */
export class OversizedLayerError extends CorruptLayerError {
  constructor({ maxBytes, maxRatio }: UnpackLimits) {
    super(`the layer unpacks to more than ${maxBytes} bytes, or to more than ${maxRatio} times its size`);
  }
}

/**
 * Counts what goes into an unpacking and what comes out.
 * @throws OversizedLayerError from the first byte too many on
 */
export async function* limitUnpacked(
  packed: AsyncIterable<Uint8Array>,
  format: LayerFormat,
  limits: UnpackLimits,
  unpack: (packed: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  // Deflate makes at most 1,032 bytes of one. https://zlib.net/zlib_tech.html
  const maxRatio = format === 'gzip' ? Number.POSITIVE_INFINITY : limits.maxRatio;
  let packedBytes = 0;
  let unpackedBytes = 0;
  async function* counted() {
    for await (const chunk of packed) {
      packedBytes += chunk.length;
      yield chunk;
    }
  }
  for await (const chunk of unpack(counted())) {
    unpackedBytes += chunk.length;
    const allowedBytes = Math.min(limits.maxBytes, Math.max(ANY_RATIO_BYTES, maxRatio * packedBytes));
    if (unpackedBytes > allowedBytes) throw new OversizedLayerError(limits);
    yield chunk;
  }
}
