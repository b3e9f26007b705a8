// gzip in the framing of Go's compress/gzip, with a compressor whose output never changes, since tests pin digests of layers. The
// output of zlib differs between versions and processors. It uses the fixed Huffman code and runs of one byte.
import { crc32 } from 'node:zlib';

/** Go 1.7 and older wrote Go's zero time into the header. */
const HEADER = Buffer.from('1f8b080000096e8800ff', 'hex');

/** The length fields of an empty stored block, which Go writes for a flush and at the end. */
const EMPTY_STORED = [0x00, 0x00, 0xff, 0xff];

/** @param pieces each becomes one block @param flushes whether a flush follows each block */
export function goGzip(pieces: readonly Uint8Array[], { flushes = false } = {}): Buffer {
  const content = Buffer.concat(pieces);
  const out = new BitWriter();
  for (const piece of pieces) {
    writeBlock(out, piece);
    if (flushes) {
      out.bits(0b000, 3);
      out.alignedBytes(EMPTY_STORED);
    }
  }
  out.bits(0b001, 3);
  out.alignedBytes(EMPTY_STORED);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(content), 0);
  trailer.writeUInt32LE(content.length, 4);
  return Buffer.concat([HEADER, out.toBuffer(), trailer]);
}

const END_OF_BLOCK = 256;
const SHORTEST_RUN = 3;
const LONGEST_RUN = 258;

/** https://www.rfc-editor.org/rfc/rfc1951#section-3.2.5 */
const LENGTH_BASES = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];

function writeBlock(out: BitWriter, piece: Uint8Array): void {
  out.bits(0b010, 3); // not the last block; fixed Huffman code
  for (let position = 0; position < piece.length; ) {
    const byte = piece[position] ?? 0;
    writeSymbol(out, byte);
    position += 1;
    let run = 0;
    while (run < LONGEST_RUN && piece[position + run] === byte) run += 1;
    if (run < SHORTEST_RUN) continue;
    writeRun(out, run);
    position += run;
  }
  writeSymbol(out, END_OF_BLOCK);
}

/** Repeats the previous byte `length` times. */
function writeRun(out: BitWriter, length: number): void {
  const index = LENGTH_BASES.findLastIndex((base) => base <= length);
  const extraBits = index < 8 || length === LONGEST_RUN ? 0 : Math.floor(index / 4) - 1;
  writeSymbol(out, 257 + index);
  out.bits(length - (LENGTH_BASES[index] ?? 0), extraBits);
  out.code(0, 5); // distance 1
}

/** https://www.rfc-editor.org/rfc/rfc1951#section-3.2.6 */
function writeSymbol(out: BitWriter, symbol: number): void {
  if (symbol < 144) out.code(0x30 + symbol, 8);
  else if (symbol < 256) out.code(0x190 + symbol - 144, 9);
  else if (symbol < 280) out.code(symbol - 256, 7);
  else out.code(0xc0 + symbol - 280, 8);
}

class BitWriter {
  readonly #bytes: number[] = [];
  #pending = 0;
  #pendingBits = 0;

  /** Lowest bit first, the order of numbers in deflate. */
  bits(value: number, count: number): void {
    for (let bit = 0; bit < count; bit += 1) this.#push((value >> bit) & 1);
  }

  /** Highest bit first, the order of Huffman codes in deflate. */
  code(value: number, count: number): void {
    for (let bit = count - 1; bit >= 0; bit -= 1) this.#push((value >> bit) & 1);
  }

  alignedBytes(bytes: readonly number[]): void {
    while (this.#pendingBits > 0) this.#push(0);
    this.#bytes.push(...bytes);
  }

  toBuffer(): Buffer {
    return Buffer.from(this.#bytes);
  }

  #push(bit: number): void {
    this.#pending |= bit << this.#pendingBits;
    this.#pendingBits += 1;
    if (this.#pendingBits < 8) return;
    this.#bytes.push(this.#pending);
    this.#pending = 0;
    this.#pendingBits = 0;
  }
}
