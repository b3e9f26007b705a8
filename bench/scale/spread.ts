// Made-up digests and ids, and which of them belong together.
import { hash } from 'node:crypto';

const NOISE_DIGITS = 1 << 16;
const HEX_TRIPLES = Array.from({ length: 4096 }, (_, value) => value.toString(16).padStart(3, '0'));

export class AscendingHex {
  readonly #noise: string;

  constructor(seed: number) {
    this.#noise = noiseOf(seed);
  }

  /** Digits that ascend with the position, and are noise from the thirteenth on. */
  at(position: number, count: number, digits: number): string {
    let rest = position / count;
    let start = '';
    for (let group = 0; group < 4; group++) {
      rest *= HEX_TRIPLES.length;
      const triple = Math.floor(rest);
      start += HEX_TRIPLES[triple];
      rest -= triple;
    }
    const offset = (position * 7919) % NOISE_DIGITS;
    return start + this.#noise.slice(offset, offset + digits - 12);
  }
}

function noiseOf(seed: number): string {
  const parts = Array.from({ length: NOISE_DIGITS / 64 + 2 }, (_, part) => hash('sha256', `${seed} ${part}`, 'hex'));
  return parts.join('');
}

/** A number without a common divisor with `count`, near its golden section, so that neighbours are far apart. */
export function coprimeStep(count: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  let step = Math.max(1, Math.floor(count * 0.618));
  while (gcd(step, count) !== 1) step++;
  return step;
}
