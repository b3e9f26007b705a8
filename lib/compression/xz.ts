// xz: streams one after another, each of blocks, an index of the blocks and a footer. All sizes and sums are checked.
// Our own, as the one library without native code (xz-decompress 0.2.3) keeps a lock for the whole process while a
// stream is open: a push that stalls would stall every other xz layer, and two passes over one layer wait for ever.
// https://tukaani.org/xz/xz-file-format.txt
import { setImmediate } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { ByteReader } from '../byte-reader.ts';
import { MiB } from '../bytes.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import { unpackLzma2 } from './lzma2.ts';
import { type IntegrityCheck, integrityCheck } from './xz-check.ts';

/** What `xz -9` uses; it takes so much memory to unpack. */
const LARGEST_DICTIONARY_BYTES = 64 * MiB;
const HEADER_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = Buffer.from('YZ');
const LZMA2_FILTER = 0x21;

/**
 * Unpacks xz. Memory: the dictionary, 64 MiB at most, and 10 MiB.
 * @throws CorruptLayerError also for what only exotic tools write: other filters than LZMA2, larger dictionaries
 */
export async function* unpackXz(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(body);
  try {
    do {
      yield* unpackStream(reader);
    } while (await hasAnotherStream(reader));
  } finally {
    await reader.close();
  }
}

async function* unpackStream(reader: ByteReader): AsyncGenerator<Uint8Array> {
  const header = await readExactly(reader, 12);
  const flags = header.subarray(6, 8);
  must(header.subarray(0, 6).equals(HEADER_MAGIC), 'does not begin as it should');
  must(crc32(flags) === header.readUInt32LE(8), 'has a wrong header');
  const blocks = new BlockTally();
  for (;;) {
    const start = reader.positionBytes;
    const [headerSize = 0] = await readExactly(reader, 1);
    if (headerSize === 0) {
      await readIndex(reader, blocks, start);
      break;
    }
    const dictionaryBytes = parseBlockHeader(headerSize, await readExactly(reader, headerSize * 4 + 3));
    const check = await integrityCheck(flags[1] ?? 0);
    let sizeBytes = 0;
    for await (const chunk of unpackLzma2(reader, dictionaryBytes)) {
      check.update(chunk);
      sizeBytes += chunk.length;
      yield chunk;
      await setImmediate(); // an all but empty chunk unpacks to 2 MiB: others must get their turn
    }
    blocks.add(await endOfBlock(reader, check, start), sizeBytes);
  }
  const footer = await readExactly(reader, 12);
  must(crc32(footer.subarray(4, 10)) === footer.readUInt32LE(0), 'has a wrong footer');
  must(footer.readUInt32LE(4) === blocks.indexBytes / 4 - 1, 'has a footer that does not fit its index');
  must(footer.subarray(8, 10).equals(flags) && footer.subarray(10).equals(FOOTER_MAGIC), 'has a wrong footer');
}

/** How large the dictionary is. `bytes` is the header without its first byte, which says how long it is. */
function parseBlockHeader(headerSize: number, bytes: Buffer): number {
  const sumAt = bytes.length - 4;
  must(
    crc32(bytes.subarray(0, sumAt), crc32(Buffer.of(headerSize))) === bytes.readUInt32LE(sumAt),
    'has a wrong block',
  );
  const fields = new Fields(bytes.subarray(0, sumAt));
  const flags = fields.byte();
  must((flags & 0x3f) === 0, 'uses another filter than LZMA2');
  if (flags & 0x40) fields.number(); // the packed size, which the index tells too
  if (flags & 0x80) fields.number();
  must(fields.number() === LZMA2_FILTER && fields.number() === 1, 'uses another filter than LZMA2');
  const size = fields.byte();
  const dictionaryBytes = (2 | (size & 1)) * 2 ** ((size >> 1) + 11);
  must(dictionaryBytes <= LARGEST_DICTIONARY_BYTES, `needs a dictionary of ${dictionaryBytes} bytes`);
  return dictionaryBytes;
}

/** Checks what follows a block's data; gives the block's size without the padding. */
async function endOfBlock(reader: ByteReader, check: IntegrityCheck, start: number): Promise<number> {
  const packedBytes = reader.positionBytes - start;
  await readPadding(reader, packedBytes);
  must((await readExactly(reader, check.sizeBytes)).equals(check.digest()), 'has a block whose sum is wrong');
  return packedBytes + check.sizeBytes;
}

async function readIndex(reader: ByteReader, blocks: BlockTally, start: number): Promise<void> {
  const numbers = async () => {
    const bytes: number[] = [];
    do {
      bytes.push(...(await readExactly(reader, 1)));
    } while ((bytes.at(-1) ?? 0) >= 0x80 && bytes.length < 9);
    sum = crc32(Buffer.from(bytes), sum);
    return new Fields(Buffer.from(bytes)).number();
  };
  let sum = crc32(Buffer.of(0));
  const indexed = new BlockTally();
  for (let left = await numbers(); left > 0; left -= 1) indexed.add(await numbers(), await numbers());
  must(indexed.equals(blocks), 'has an index that does not fit its blocks');
  sum = crc32(await readPadding(reader, reader.positionBytes - start), sum);
  must((await readExactly(reader, 4)).readUInt32LE(0) === sum, 'has a wrong index');
  blocks.indexBytes = reader.positionBytes - start;
}

/** Zeros between streams, as many as a multiple of four, are allowed. */
async function hasAnotherStream(reader: ByteReader): Promise<boolean> {
  for (;;) {
    const next = await reader.peek(4);
    if (next.length === 0) return false;
    must(next.length === 4, 'has something behind its end');
    if (next.some((byte) => byte !== 0)) return true;
    await reader.skip(4);
  }
}

async function readPadding(reader: ByteReader, afterBytes: number): Promise<Uint8Array> {
  const padding = await readExactly(reader, -afterBytes & 3);
  must(
    padding.every((byte) => byte === 0),
    'has padding that is not zero',
  );
  return padding;
}

async function readExactly(reader: ByteReader, sizeBytes: number): Promise<Buffer> {
  const bytes = Buffer.from(await reader.read(sizeBytes));
  must(bytes.length === sizeBytes, 'is cut off');
  return bytes;
}

function must(isRight: boolean, otherwise: string): asserts isRight {
  if (!isRight) throw new CorruptLayerError(`the xz stream ${otherwise}`);
}

/** The sizes of all blocks in their order, as one sum over them. */
class BlockTally {
  /** Known once the index has been read. */
  indexBytes = 0;
  #count = 0;
  #sum = 0;

  add(packedBytes: number, unpackedBytes: number): void {
    this.#count += 1;
    this.#sum = crc32(`${packedBytes},${unpackedBytes};`, this.#sum);
  }

  equals(other: BlockTally): boolean {
    return this.#count === other.#count && this.#sum === other.#sum;
  }
}

/** Bytes, and numbers of seven bits a byte, the lowest first. */
class Fields {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#position];
    must(byte !== undefined, 'has a field that is cut off');
    this.#position += 1;
    return byte;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      must(Number.isSafeInteger(value), 'has a number that is too large');
      if (byte < 0x80) return value;
    }
  }
}
