import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { KiB } from '../streams/bytes.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import type { LayerFormat } from './layer-format.ts';
import { DEFAULT_UNPACK_LIMITS, limitUnpacked, type UnpackLimits } from './unpack-limits.ts';

const CHUNK_BYTES = 64 * KiB;

/**
 * Unpacks a layer as a stream, with back-pressure. Memory: 1 MiB for gzip, 12 MiB for bzip2, the dictionary for xz and zstd
 * (8 MiB by default; more than 64 MiB or 128 MiB is refused).
 * @throws CorruptLayerError if the bytes are not valid in that format; OversizedLayerError; any error of the source, unchanged
 */
export async function* decompress(
  body: AsyncIterable<Uint8Array>,
  format: LayerFormat,
  limits: UnpackLimits = DEFAULT_UNPACK_LIMITS,
): AsyncGenerator<Uint8Array> {
  if (format === 'empty' || format === 'tar') yield* body;
  else yield* limitUnpacked(body, format, limits, (packed) => unpack(packed, format));
}

async function* unpack(
  body: AsyncIterable<Uint8Array>,
  format: Exclude<LayerFormat, 'empty' | 'tar'>,
): AsyncGenerator<Uint8Array> {
  switch (format) {
    case 'gzip':
      yield* throughZlib(body, createGunzip({ chunkSize: CHUNK_BYTES }));
      return;
    case 'zstd':
      yield* throughZlib(body, createZstdDecompress({ chunkSize: CHUNK_BYTES }));
      return;
    // Loaded when needed: few layers use these formats, and a cold start must not wait for them.
    case 'bzip2': {
      const { unpackBzip2 } = await import('./bzip2.ts');
      yield* unpackBzip2(body);
      return;
    }
    case 'xz': {
      const { unpackXz } = await import('./xz.ts');
      yield* unpackXz(body);
      return;
    }
    case 'unknown':
      throw new CorruptLayerError('the layer is in an unknown format');
  }
}

/** Unpacks by `node:zlib`, which works on threads of its own and takes gzip of several members. */
async function* throughZlib(body: AsyncIterable<Uint8Array>, unzip: Transform): AsyncGenerator<Uint8Array> {
  let hasSourceFailed = false;
  const source = Readable.from(body, { objectMode: false });
  source.on('error', () => {
    hasSourceFailed = true;
  });
  pipeline(source, unzip, () => undefined); // errors are thrown by the iteration below
  try {
    yield* unzip as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (hasSourceFailed) throw error;
    throw new CorruptLayerError('the compressed layer is corrupt', { cause: error });
  }
}
