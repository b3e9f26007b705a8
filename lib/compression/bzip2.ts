// bzip2: one or more streams, each of blocks that begin at any bit, and a CRC over those of the blocks. No package bounds its
// memory: unbzip2-stream 1.4.3 keeps an unpacked chunk as an array of numbers (113 bytes take 1.1 GB), seek-bzip and the
// WebAssembly builds need the whole file.
import { setImmediate } from 'node:timers/promises';
import { ByteReader } from '../streams/byte-reader.ts';
import { MiB } from '../streams/bytes.ts';
import { BitReader } from './bit-reader.ts';
import { readBlock, unpackBlock } from './bzip2-block.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';

const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const PIECE_BYTES = MiB;

/**
 * Unpacks bzip2. Bytes after the last stream are ignored, as by `bzip2 -d`. Memory: 12 MiB.
 * @throws CorruptLayerError
 */
export async function* unpackBzip2(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(body);
  try {
    let level = levelOf(await reader.read(4));
    if (level === undefined) throw new CorruptLayerError('the bzip2 stream has a wrong header');
    while (level !== undefined) {
      yield* unpackStream(reader, level);
      level = levelOf(await reader.read(4));
    }
    while (await reader.readSome(MiB)) {
      // read to the end, so that the source ends regularly
    }
  } finally {
    await reader.close();
  }
}

/** The largest block in units of 100,000 bytes; `undefined` if this is not the header of a stream. */
function levelOf(header: Uint8Array): number | undefined {
  const text = Buffer.from(header).toString('latin1');
  return /^BZh[1-9]$/.test(text) ? Number(text[3]) : undefined;
}

async function* unpackStream(reader: ByteReader, level: number): AsyncGenerator<Uint8Array> {
  const room = new Uint32Array(level * 100_000);
  // At most 20 bits for each symbol, and the tables: more than any block takes.
  const packedBytes = level * 250_000 + 40_000;
  let sum = 0;
  let startBit = 0;
  for (;;) {
    const bits = new BitReader(await reader.peek(packedBytes), startBit);
    const magic = bits.read(24) * 2 ** 24 + bits.read(24);
    if (magic === END_MAGIC) {
      const expected = ((bits.read(16) << 16) | bits.read(16)) >>> 0;
      if (bits.isPastEnd || expected !== sum) throw new CorruptLayerError('the bzip2 stream has a wrong CRC');
      await reader.skip(Math.ceil(bits.positionBits / 8));
      return;
    }
    if (magic !== BLOCK_MAGIC) throw new CorruptLayerError('the bzip2 stream is truncated or corrupt');
    const block = readBlock(bits, room);
    sum = (((sum << 1) | (sum >>> 31)) ^ block.sum) >>> 0;
    for (const piece of unpackBlock(block, PIECE_BYTES)) {
      yield piece;
      await setImmediate(); // a few bytes may unpack to millions: let other requests run
    }
    await reader.skip(bits.positionBits >>> 3);
    startBit = bits.positionBits & 7;
  }
}
