/** The keys of one chunk. Insertion moves at most these. */
const CHUNK = 512;

/** A set of strings in ascending order, for a hundred thousand insertions between listings. */
export class SortedKeys {
  readonly #chunks: string[][] = [];

  add(key: string): void {
    const at = Math.max(0, this.#chunkOf(key));
    const chunk = this.#chunks[at];
    if (!chunk) {
      this.#chunks.push([key]);
      return;
    }
    const index = firstAfter(chunk, key);
    if (chunk[index - 1] === key) return;
    chunk.splice(index, 0, key);
    if (chunk.length > CHUNK) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK / 2));
  }

  /** The keys that come after `key`. */
  *after(key: string): Generator<string> {
    for (let at = Math.max(0, this.#chunkOf(key)); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] ?? [];
      for (let index = firstAfter(chunk, key); index < chunk.length; index++) yield chunk[index] ?? '';
    }
  }

  /** The last chunk that begins at or before the key; -1 if there is none. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#chunks[middle]?.[0] ?? '') <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function firstAfter(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
