import { createCipheriv, createHash, randomInt } from 'node:crypto';
import type { SuiteContext, TestContext } from 'node:test';

/** Chance that can be repeated: the same seed gives the same numbers in the same order. */
export class Random {
  readonly #seed: string;
  #state: number;

  constructor(seed: string) {
    this.#seed = seed;
    this.#state = createHash('sha256').update(seed).digest().readUInt32LE();
  }

  /** Another chance of its own: what it gives does not depend on how often this one was asked. */
  branch(name: string | number): Random {
    return new Random(`${this.#seed}/${name}`);
  }

  /** From 0 to below 1, in steps of 2^-32. Mulberry32. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }

  /** So many of the items, no two the same. */
  some<T>(count: number, items: readonly T[]): T[] {
    const left = [...items];
    return Array.from({ length: Math.min(count, left.length) }, () =>
      left.splice(this.between(0, left.length - 1), 1),
    ).flat();
  }

  bytes(sizeBytes: number): Buffer<ArrayBuffer> {
    const key = createHash('sha256').update(`${this.#seed} ${this.fraction()}`).digest();
    return Buffer.from(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes)));
  }

  hex(digits: number): string {
    return this.bytes(digits).toString('hex').slice(0, digits);
  }
}

/** The seed of this run: `FAULTS_SEED`, or a new one. */
const seed = process.env.FAULTS_SEED ?? String(randomInt(1e9));

/** The chance of a test, which says how it can be had again. */
export function randomOf(t: TestContext | SuiteContext): Random {
  t.diagnostic(`again with FAULTS_SEED=${seed}`);
  return new Random(`${seed}/${t.name}`);
}

/** For fast-check, which wants a number. */
export function numberOfSeed(random: Random): number {
  return random.between(0, 2 ** 31 - 1);
}
