import type { BitReader } from './bit-reader.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import { HuffmanCode } from './huffman.ts';

/** How many symbols are coded with one Huffman code before the next is selected. */
const GROUP_SYMBOLS = 50;
/** The two symbols of a run: the digits, in bijective base 2, of how often the first byte of the list is repeated. */
const RUN_A = 0;
const RUN_B = 1;

/** A block before its Burrows-Wheeler transform is undone. */
type SortedBlock = {
  /** The transformed bytes, each in the lowest eight bits. */
  bytes: Uint32Array;
  /** The row of the sorted rotations that is the original. */
  origin: number;
  /** The CRC-32 of the unpacked block. */
  sum: number;
};

/**
 * Reads a block after its magic number.
 * @param room as long as the largest block of this stream; the returned block lies in it
 * @throws CorruptLayerError
 */
export function readBlock(bits: BitReader, room: Uint32Array): SortedBlock {
  const sum = ((bits.read(16) << 16) | bits.read(16)) >>> 0;
  must(bits.read(1) === 0, 'is randomised, which only bzip2 before 0.9.5 did');
  const origin = bits.read(24);
  const alphabet = readAlphabet(bits);
  const codeCount = bits.read(3);
  must(codeCount >= 2 && codeCount <= 6, 'has an impossible number of codes');
  const selectors = readSelectors(bits, codeCount);
  const codes = Array.from({ length: codeCount }, () => new HuffmanCode(readLengths(bits, alphabet.length + 2)));
  const bytes = readSymbols(bits, { alphabet, selectors, codes }, room);
  must(!bits.isPastEnd, 'is truncated');
  must(origin < bytes.length, 'has an origin outside of itself');
  return { bytes, origin, sum };
}

/** The bytes that occur in the block: a bit map of groups of 16 byte values, then a bit map for each group that occurs. */
function readAlphabet(bits: BitReader): Uint8Array {
  const sixteens = bits.read(16);
  const alphabet: number[] = [];
  for (let high = 0; high < 16; high += 1) {
    if (!(sixteens & (0x8000 >> high))) continue;
    const map = bits.read(16);
    for (let low = 0; low < 16; low += 1) if (map & (0x8000 >> low)) alphabet.push(16 * high + low);
  }
  return Uint8Array.from(alphabet);
}

/** The index of the Huffman code for each group of symbols. */
function readSelectors(bits: BitReader, codeCount: number): Uint8Array {
  const selectors = new Uint8Array(bits.read(15));
  const recent = [0, 1, 2, 3, 4, 5];
  for (let index = 0; index < selectors.length; index += 1) {
    let place = 0;
    while (bits.read(1) === 1) place += 1;
    must(place < codeCount, 'has an impossible selector');
    const [code = 0] = recent.splice(place, 1);
    recent.unshift(code);
    selectors[index] = code;
  }
  return selectors;
}

function readLengths(bits: BitReader, symbolCount: number): Uint8Array {
  const lengths = new Uint8Array(symbolCount);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbolCount; symbol += 1) {
    while (bits.read(1) === 1) length += bits.read(1) === 0 ? 1 : -1;
    must(length >= 1 && length <= 20 && !bits.isPastEnd, 'has an impossible code');
    lengths[symbol] = length;
  }
  return lengths;
}

type Coding = { alphabet: Uint8Array; selectors: Uint8Array; codes: readonly HuffmanCode[] };

/** Undoes the move-to-front transform and the runs: a symbol is the place of a byte in a list, from which it moves to the front. */
function readSymbols(bits: BitReader, { alphabet, selectors, codes }: Coding, room: Uint32Array): Uint32Array {
  const list = Uint8Array.from(alphabet);
  const endSymbol = alphabet.length + 1;
  let length = 0;
  let runLength = 0;
  let runWeight = 1;
  for (const selector of selectors) {
    const code = codes[selector] as HuffmanCode;
    for (let left = GROUP_SYMBOLS; left > 0; left -= 1) {
      const symbol = code.read(bits);
      if (symbol <= RUN_B) {
        runLength += symbol === RUN_A ? runWeight : 2 * runWeight;
        runWeight *= 2;
        must(runLength <= room.length - length, 'is longer than its stream allows');
        continue;
      }
      if (runLength > 0) {
        room.fill(list[0] ?? 0, length, length + runLength);
        length += runLength;
        runLength = 0;
        runWeight = 1;
      }
      if (symbol === endSymbol) return room.subarray(0, length);
      must(length < room.length, 'is longer than its stream allows');
      const byte = list[symbol - 1] as number;
      for (let place = symbol - 1; place > 0; place -= 1) list[place] = list[place - 1] as number;
      list[0] = byte;
      room[length] = byte;
      length += 1;
    }
  }
  throw new CorruptLayerError('a bzip2 block has no end');
}

/**
 * Undoes the Burrows-Wheeler transform, and the run-length coding before it: after four equal bytes comes the number of
 * further ones. A block of 900,000 bytes may unpack to 46 MB, so it comes in pieces.
 * @throws CorruptLayerError before the last piece if the CRC is wrong
 */
export function* unpackBlock({ bytes, origin, sum }: SortedBlock, pieceBytes: number): Generator<Uint8Array> {
  linkSuccessors(bytes);
  let link = (bytes[origin] as number) >>> 8;
  let crc = -1;
  let equal = 0;
  let previous = -1;
  let piece = Buffer.allocUnsafe(pieceBytes);
  let length = 0;
  for (let left = bytes.length; left > 0; left -= 1) {
    const entry = bytes[link] as number;
    link = entry >>> 8;
    const isCount = equal === 4;
    const copies = isCount ? entry & 0xff : 1;
    const byte = isCount ? previous : entry & 0xff;
    if (length + copies > pieceBytes) {
      yield piece.subarray(0, length);
      piece = Buffer.allocUnsafe(pieceBytes);
      length = 0;
    }
    for (let copy = copies; copy > 0; copy -= 1) {
      crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ byte] as number);
      piece[length] = byte;
      length += 1;
    }
    equal = isCount ? 0 : byte === previous ? equal + 1 : 1;
    previous = isCount ? -1 : byte;
  }
  must(~crc >>> 0 === sum, 'has a wrong CRC');
  yield piece.subarray(0, length);
}

/** Writes into the upper bits of each place the place of the byte that follows in the original. */
function linkSuccessors(bytes: Uint32Array): void {
  const starts = new Uint32Array(256);
  for (const byte of bytes) starts[byte] = (starts[byte] as number) + 1;
  let total = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const count = starts[byte] as number;
    starts[byte] = total;
    total += count;
  }
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = (bytes[index] as number) & 0xff;
    const place = starts[byte] as number;
    bytes[place] = (bytes[place] as number) | (index << 8);
    starts[byte] = place + 1;
  }
}

/** CRC-32 with the highest bit first; zlib's takes the lowest bit first. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
  return sum;
});

function must(isRight: boolean, otherwise: string): asserts isRight {
  if (!isRight) throw new CorruptLayerError(`a bzip2 block ${otherwise}`);
}
