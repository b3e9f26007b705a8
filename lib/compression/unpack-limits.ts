import { GiB, MiB } from '../streams/bytes.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import type { LayerFormat } from './layer-format.ts';

/** How large an unpacked layer may be. */
export type UnpackLimits = {
  maxBytes: number;
  /** Unpacked bytes for each compressed byte. For bzip2, xz and zstd: gzip has such a limit of its own. */
  maxRatio: number;
};

/** Layers of real images unpack to two to ten times their size. */
export const DEFAULT_UNPACK_LIMITS: UnpackLimits = { maxBytes: 100 * GiB, maxRatio: 200 };

/** The ratio applies to larger layers only: small files of zeros are common and cheap. */
export const ANY_RATIO_BYTES = 16 * MiB;

/** The unpacked layer exceeds the limits. As far as it was read, it is valid. */
export class OversizedLayerError extends CorruptLayerError {
  constructor({ maxBytes, maxRatio }: UnpackLimits) {
    super(`the layer unpacks to more than ${maxBytes} bytes, or to more than ${maxRatio} times its size`);
  }
}

/**
 * Unpacks and counts the bytes on both sides.
 * @throws OversizedLayerError as soon as the unpacked bytes exceed the limits
 */
export async function* limitUnpacked(
  packed: AsyncIterable<Uint8Array>,
  format: LayerFormat,
  limits: UnpackLimits,
  unpack: (packed: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  // Deflate unpacks one byte to at most 1,032. https://zlib.net/zlib_tech.html
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
