import type { BitReader } from './bit-reader.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';

const LONGEST_CODE_BITS = 20;
/** Codes up to this length are looked up in a table, longer ones by comparing with the ends of each length. */
const TABLE_BITS = 10;

/** A canonical Huffman code: the codes of one length are consecutive, and those of the next length continue after them. */
export class HuffmanCode {
  /** By the first `TABLE_BITS` bits: the symbol, and in the lowest five bits the length of its code. 0 for longer codes. */
  readonly #table = new Uint16Array(1 << TABLE_BITS);
  /** By length: the first longer code, padded to `LONGEST_CODE_BITS`. */
  readonly #ends = new Uint32Array(LONGEST_CODE_BITS + 1);
  /** By length: what to add to a code to get its place in `#symbols`. */
  readonly #offsets = new Int32Array(LONGEST_CODE_BITS + 1);
  readonly #symbols: Uint16Array;

  /**
   * @param lengths the length of the code of each symbol, 1 to 20 bits
   * @throws CorruptLayerError if there are more codes of a length than can exist
   */
  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length);
    let code = 0;
    let place = 0;
    for (let length = 1; length <= LONGEST_CODE_BITS; length += 1) {
      this.#offsets[length] = place - code;
      lengths.forEach((own, symbol) => {
        if (own !== length) return;
        this.#symbols[place] = symbol;
        if (length <= TABLE_BITS) {
          const first = code << (TABLE_BITS - length);
          this.#table.fill((symbol << 5) | length, first, first + (1 << (TABLE_BITS - length)));
        }
        place += 1;
        code += 1;
      });
      if (code > 1 << length) throw new CorruptLayerError('a bzip2 block has an impossible code');
      this.#ends[length] = code << (LONGEST_CODE_BITS - length);
      code <<= 1;
    }
  }

  /** Reads one symbol. @throws CorruptLayerError if the bits are not a code */
  read(bits: BitReader): number {
    const next = bits.peek(LONGEST_CODE_BITS);
    const found = this.#table[next >>> (LONGEST_CODE_BITS - TABLE_BITS)] as number;
    if (found !== 0) {
      bits.skip(found & 0x1f);
      return found >>> 5;
    }
    for (let length = TABLE_BITS + 1; length <= LONGEST_CODE_BITS; length += 1) {
      if (next >= (this.#ends[length] as number)) continue;
      bits.skip(length);
      return this.#symbols[(next >>> (LONGEST_CODE_BITS - length)) + (this.#offsets[length] as number)] as number;
    }
    throw new CorruptLayerError('a bzip2 block has an unassigned code');
  }
}
