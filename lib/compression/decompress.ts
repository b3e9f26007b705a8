import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { KiB } from '../streams/bytes.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import { DEFAULT_UNPACK_LIMITS, limitUnpacked, type UnpackLimits } from './unpack-limits.ts';

/** What a layer's bytes are; docker sent gzip, older tools anything. */
export type LayerFormat = 'empty' | 'tar' | 'gzip' | 'bzip2' | 'xz' | 'zstd' | 'unknown';

const CHUNK_BYTES = 64 * KiB;

/**
 * Unpacks a layer as it is read, no faster than the result is taken. Memory: 1 MiB for gzip, 12 MiB for bzip2, the
 * dictionary for xz and zstd (8 MiB by default, more than 64 MiB and 128 MiB are refused). Errors of the source pass
 * through as they are.
 * @throws CorruptLayerError if the bytes are not of that format, broken or cut off; OversizedLayerError
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
    // Nearly no layer is compressed like this, so a start does not wait for their code.
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
      throw new CorruptLayerError('the layer is in no format that is known');
  }
}

/** zlib works on threads of its own; with streams that end early or whole, multi-member gzip and all. */
async function* throughZlib(body: AsyncIterable<Uint8Array>, unzip: Transform): AsyncGenerator<Uint8Array> {
  let isSourceToBlame = false;
  const source = Readable.from(body, { objectMode: false });
  source.on('error', () => {
    isSourceToBlame = true;
  });
  pipeline(source, unzip, () => undefined); // what fails comes out of the iteration below
  try {
    yield* unzip as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (isSourceToBlame) throw error;
    throw new CorruptLayerError('the layer is not well compressed', { cause: error });
  }
}
