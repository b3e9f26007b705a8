import { algorithmOf, type Digest, type DigestAlgorithm, hexOf } from '../../model/names.ts';
import { FixedRows } from './fixed-rows.ts';

const WIDTHS: Record<DigestAlgorithm, number> = { sha256: 32, sha512: 64 };

/** A set of digests that are added in the order of their listing. It takes the bytes of the digests, and no more than twice that. */
export class DigestSet {
  readonly #sorted = { sha256: new SortedHex(WIDTHS.sha256), sha512: new SortedHex(WIDTHS.sha512) };

  /** @throws Error if the digest does not follow the last one of its algorithm */
  add(digest: Digest): void {
    this.#sorted[algorithmOf(digest)].add(hexOf(digest));
  }

  has(digest: Digest): boolean {
    return this.indexOf(digest) >= 0;
  }

  /** The number of a digest in the order of the set; -1 if it is not in it. */
  indexOf(digest: Digest): number {
    const index = this.#sorted[algorithmOf(digest)].indexOf(hexOf(digest));
    return index < 0 || algorithmOf(digest) === 'sha256' ? index : this.#sorted.sha256.count + index;
  }

  /** The digest with this number. */
  at(index: number): Digest {
    const { sha256, sha512 } = this.#sorted;
    if (index < sha256.count) return `sha256:${sha256.hexAt(index)}` as Digest;
    return `sha512:${sha512.hexAt(index - sha256.count)}` as Digest;
  }

  get size(): number {
    return this.#sorted.sha256.count + this.#sorted.sha512.count;
  }

  *[Symbol.iterator](): Generator<Digest> {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      for (const hex of this.#sorted[algorithm]) yield `${algorithm}:${hex}` as Digest;
    }
  }
}

class SortedHex {
  readonly #rows: FixedRows;

  constructor(width: number) {
    this.#rows = new FixedRows(width);
  }

  get count(): number {
    return this.#rows.count;
  }

  add(hex: string): void {
    const row = this.#rows.add();
    row.write(hex, 'hex');
    if (this.count > 1 && Buffer.compare(this.#rows.at(this.count - 2), row) >= 0) {
      throw new Error(`${hex} is not in the order of the listing`);
    }
  }

  /** -1 if it was not added. */
  indexOf(hex: string): number {
    const wanted = Buffer.from(hex, 'hex');
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = Buffer.compare(this.#rows.at(middle), wanted);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  hexAt(index: number): string {
    return this.#rows.at(index).toString('hex');
  }

  *[Symbol.iterator](): Generator<string> {
    for (let index = 0; index < this.count; index++) yield this.hexAt(index);
  }
}
