import { CorruptLayerError } from './corrupt-layer-error.ts';
import { evenProbabilities, RangeDecoder } from './range-decoder.ts';

const STATES = 12;
const POSITION_STATES = 16;
const SHORTEST_MATCH = 2;
/** Below it, the last symbol was a literal. */
const FIRST_STATE_AFTER_MATCH = 7;

/** How many bits of position and context choose a probability. */
type Properties = { literalContextBits: number; literalPositionBits: number; positionBits: number };

/**
 * LZMA: literals and copies of what came before, each bit coded by how likely it was in its place. Decodes into a window
 * whose start is the start of what copies may refer to.
 * @see https://www.7-zip.org/sdk.html lzma-specification.txt, whose names the fields have
 */
export class LzmaDecoder {
  readonly #range = new RangeDecoder();
  #properties: Properties = { literalContextBits: 0, literalPositionBits: 0, positionBits: 0 };
  #state = 0;
  #distances = [0, 0, 0, 0] as [number, number, number, number];
  #isMatch = evenProbabilities(0);
  #isRepeat = evenProbabilities(0);
  #isRepeat0 = evenProbabilities(0);
  #isRepeat1 = evenProbabilities(0);
  #isRepeat2 = evenProbabilities(0);
  #isLongRepeat0 = evenProbabilities(0);
  #literals = evenProbabilities(0);
  #distanceSlots = evenProbabilities(0);
  #distanceBits = evenProbabilities(0);
  #distanceAlignment = evenProbabilities(0);
  #matchLengths = new LengthDecoder();
  #repeatLengths = new LengthDecoder();

  /** @throws CorruptLayerError */
  setProperties(byte: number): void {
    const literalContextBits = byte % 9;
    const literalPositionBits = Math.floor(byte / 9) % 5;
    const positionBits = Math.floor(byte / 45);
    if (positionBits > 4 || literalContextBits + literalPositionBits > 4) {
      throw new CorruptLayerError(`LZMA properties ${byte} are not allowed in xz`);
    }
    this.#properties = { literalContextBits, literalPositionBits, positionBits };
  }

  /** Forgets all that was learnt; the window stays. */
  resetState(): void {
    const { literalContextBits, literalPositionBits } = this.#properties;
    this.#state = 0;
    this.#distances = [0, 0, 0, 0];
    this.#isMatch = evenProbabilities(STATES * POSITION_STATES);
    this.#isRepeat = evenProbabilities(STATES);
    this.#isRepeat0 = evenProbabilities(STATES);
    this.#isRepeat1 = evenProbabilities(STATES);
    this.#isRepeat2 = evenProbabilities(STATES);
    this.#isLongRepeat0 = evenProbabilities(STATES * POSITION_STATES);
    this.#literals = evenProbabilities(0x300 << (literalContextBits + literalPositionBits));
    this.#distanceSlots = evenProbabilities(4 * 64);
    this.#distanceBits = evenProbabilities(115);
    this.#distanceAlignment = evenProbabilities(16);
    this.#matchLengths = new LengthDecoder();
    this.#repeatLengths = new LengthDecoder();
  }

  /**
   * Fills `window` from `start` to `end` with what all of `input` decodes to.
   * @throws CorruptLayerError
   */
  decode(input: Uint8Array, window: Uint8Array, start: number, end: number): void {
    const positionMask = (1 << this.#properties.positionBits) - 1;
    this.#range.start(input);
    let position = start;
    while (position < end) {
      const positionState = position & positionMask;
      if (this.#range.bit(this.#isMatch, this.#state * POSITION_STATES + positionState) === 0) {
        window[position] = this.#literal(window, position);
        position += 1;
        continue;
      }
      const length = this.#range.bit(this.#isRepeat, this.#state)
        ? this.#repeat(positionState)
        : this.#match(positionState);
      const from = position - (this.#distances[0] >>> 0) - 1;
      if (from < 0 || length > end - position) throw new CorruptLayerError('an LZMA copy leaves its window');
      for (let index = 0; index < length; index += 1) window[position + index] = window[from + index] as number;
      position += length;
    }
    this.#range.finish();
  }

  #literal(window: Uint8Array, position: number): number {
    const { literalContextBits, literalPositionBits } = this.#properties;
    const before = position > 0 ? (window[position - 1] as number) : 0;
    const place = position & ((1 << literalPositionBits) - 1);
    const base = 0x300 * ((place << literalContextBits) + (before >> (8 - literalContextBits)));
    let symbol = 1;
    if (this.#state >= FIRST_STATE_AFTER_MATCH) {
      // What would have gone on with the last copy is known not to come: it says which bits are likely.
      let expected = window[position - (this.#distances[0] >>> 0) - 1] ?? 0;
      do {
        const expectedBit = (expected >> 7) & 1;
        expected <<= 1;
        const bit = this.#range.bit(this.#literals, base + ((1 + expectedBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expectedBit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#range.bit(this.#literals, base + symbol);
    this.#state = this.#state < 4 ? 0 : this.#state - (this.#state < 10 ? 3 : 6);
    return symbol & 0xff;
  }

  /** A copy from a new distance; gives its length. */
  #match(positionState: number): number {
    const length = this.#matchLengths.decode(this.#range, positionState);
    const [distance0, distance1, distance2] = this.#distances;
    this.#distances = [this.#distance(length), distance0, distance1, distance2];
    this.#state = this.#state < FIRST_STATE_AFTER_MATCH ? 7 : 10;
    return length;
  }

  /** A copy from one of the last four distances; gives its length. */
  #repeat(positionState: number): number {
    const wasLiteral = this.#state < FIRST_STATE_AFTER_MATCH;
    if (this.#range.bit(this.#isRepeat0, this.#state) === 0) {
      if (this.#range.bit(this.#isLongRepeat0, this.#state * POSITION_STATES + positionState) === 0) {
        this.#state = wasLiteral ? 9 : 11;
        return 1;
      }
    } else {
      const [distance0, distance1, distance2, distance3] = this.#distances;
      if (this.#range.bit(this.#isRepeat1, this.#state) === 0) {
        this.#distances = [distance1, distance0, distance2, distance3];
      } else if (this.#range.bit(this.#isRepeat2, this.#state) === 0) {
        this.#distances = [distance2, distance0, distance1, distance3];
      } else {
        this.#distances = [distance3, distance0, distance1, distance2];
      }
    }
    this.#state = wasLiteral ? 8 : 11;
    return this.#repeatLengths.decode(this.#range, positionState);
  }

  #distance(length: number): number {
    const lengthState = Math.min(length - SHORTEST_MATCH, 3);
    const slot = this.#range.tree(this.#distanceSlots, lengthState << 6, 6);
    if (slot < 4) return slot;
    const lowBits = (slot >> 1) - 1;
    const high = (2 | (slot & 1)) << lowBits;
    if (slot < 14) return high + this.#range.reverseTree(this.#distanceBits, high - slot, lowBits);
    const middle = this.#range.directBits(lowBits - 4) << 4;
    return high + middle + this.#range.reverseTree(this.#distanceAlignment, 0, 4);
  }
}

class LengthDecoder {
  readonly #choice = evenProbabilities(2);
  readonly #low = evenProbabilities(POSITION_STATES << 3);
  readonly #middle = evenProbabilities(POSITION_STATES << 3);
  readonly #high = evenProbabilities(1 << 8);

  decode(range: RangeDecoder, positionState: number): number {
    if (range.bit(this.#choice, 0) === 0) return SHORTEST_MATCH + range.tree(this.#low, positionState << 3, 3);
    if (range.bit(this.#choice, 1) === 0) return SHORTEST_MATCH + 8 + range.tree(this.#middle, positionState << 3, 3);
    return SHORTEST_MATCH + 16 + range.tree(this.#high, 0, 8);
  }
}
