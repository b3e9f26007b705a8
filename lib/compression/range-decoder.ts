import { CorruptLayerError } from './corrupt-layer-error.ts';

/** A probability in the middle of its eleven bits. */
const EVEN = 1 << 10;

/** Probabilities that have not learnt anything yet. */
export function evenProbabilities(count: number): Uint16Array {
  return new Uint16Array(count).fill(EVEN);
}

/**
 * LZMA's arithmetic decoder, which gets a bit out of a fraction of one. `#range` and `#code` are unsigned numbers in
 * signed ones, as V8 keeps such integers unboxed. @see https://www.7-zip.org/sdk.html lzma-specification.txt
 */
export class RangeDecoder {
  #input: Uint8Array = new Uint8Array();
  #position = 0;
  #range = 0;
  #code = 0;

  /** Begins a piece of input that was encoded by itself. */
  start(input: Uint8Array): void {
    if (input.length < 5 || input[0] !== 0) throw new CorruptLayerError('an LZMA2 chunk does not begin as it should');
    this.#input = input;
    this.#code = Buffer.from(input.buffer, input.byteOffset, input.length).readInt32BE(1);
    this.#position = 5;
    this.#range = -1;
  }

  /** @throws CorruptLayerError if there is more or less input than what was decoded */
  finish(): void {
    this.#normalize();
    if (this.#position !== this.#input.length || this.#code !== 0) {
      throw new CorruptLayerError('an LZMA2 chunk does not end as it should');
    }
  }

  bit(probabilities: Uint16Array, index: number): 0 | 1 {
    this.#normalize();
    const probability = probabilities[index] as number;
    const bound = Math.imul(this.#range >>> 11, probability);
    if (this.#code >>> 0 < bound >>> 0) {
      this.#range = bound;
      probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#range = (this.#range - bound) | 0;
    this.#code = (this.#code - bound) | 0;
    probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  /** Bits that are as likely 0 as 1, the highest first. */
  directBits(count: number): number {
    let bits = 0;
    for (let left = count; left > 0; left -= 1) {
      this.#normalize();
      this.#range >>>= 1;
      const isOne = this.#code >>> 0 >= this.#range >>> 0;
      if (isOne) this.#code = (this.#code - this.#range) | 0;
      bits = (bits << 1) | (isOne ? 1 : 0);
    }
    return bits;
  }

  /** A number of `count` bits, the highest first, whose probabilities form a tree with its root at `base` + 1. */
  tree(probabilities: Uint16Array, base: number, count: number): number {
    let node = 1;
    for (let left = count; left > 0; left -= 1) node = (node << 1) | this.bit(probabilities, base + node);
    return node - (1 << count);
  }

  /** As `tree`, the lowest bit first. */
  reverseTree(probabilities: Uint16Array, base: number, count: number): number {
    let node = 1;
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      const bit = this.bit(probabilities, base + node);
      node = (node << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  #normalize(): void {
    if (this.#range >>> 24 !== 0) return;
    this.#range <<= 8;
    this.#code = (this.#code << 8) | (this.#input[this.#position] ?? 0);
    this.#position += 1;
  }
}
