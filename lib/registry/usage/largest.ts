/** Keeps the largest items of a stream; never more than twice their number in memory. */
export class Largest<T> {
  readonly #max: number;
  readonly #sizeOf: (item: T) => number;
  #items: T[] = [];

  constructor(max: number, sizeOf: (item: T) => number) {
    this.#max = max;
    this.#sizeOf = sizeOf;
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#items.length >= 2 * this.#max) this.#items = this.items;
  }

  /** Largest first. */
  get items(): T[] {
    return this.#items.toSorted((a, b) => this.#sizeOf(b) - this.#sizeOf(a)).slice(0, this.#max);
  }
}
