// Objects as functions of their position, in byte order: nothing is stored.
import { type Bytes, encodeText } from '../../lib/streams/bytes.ts';

/** An object of the bucket. Its bytes are made when they are asked for. */
export type SyntheticObject = { key: string; sizeBytes: number; bytes: () => Bytes };

/**
 * Objects by the beginning of their keys. Groups are in byte order, and no group lies within another. `search`, where it is
 * given, is a beginning of `start` that is cheaper to make and differs for each group.
 */
export type Section = {
  count: number;
  start: (index: number) => string;
  search?: (index: number) => string;
  objects: (index: number) => SyntheticObject[];
};

/** Groups that are kept: a listing and the reads that follow it ask for the same one in turn. */
const KEPT = 64;

/** A bucket whose objects are generated. */
export type SyntheticObjects = {
  find(key: string): SyntheticObject | undefined;
  /** The objects whose keys begin with `prefix` and come after `after`, in byte order. */
  list(prefix: string, after: string): Iterable<SyntheticObject>;
};

/** The objects of sections, each of which comes after the one before it. */
export class Sections implements SyntheticObjects {
  readonly #sections: readonly Section[];

  constructor(sections: readonly Section[]) {
    this.#sections = sections;
  }

  find(key: string): SyntheticObject | undefined {
    for (const section of this.#sections) {
      const at = lastAtOrBefore(section, key);
      if (at < 0 || !key.startsWith(section.start(at))) continue;
      const objects = section.objects(at);
      const object = objects[countUpTo(objects, key) - 1];
      return object?.key === key ? object : undefined;
    }
    return undefined;
  }

  /** The objects whose keys begin with `prefix` and come after `after`, in byte order. */
  *list(prefix: string, after: string): Generator<SyntheticObject> {
    const from = after > prefix ? after : prefix;
    for (const section of this.#sections) {
      for (let at = Math.max(0, lastAtOrBefore(section, from)); at < section.count; at++) {
        const start = section.start(at);
        if (start > prefix && !start.startsWith(prefix)) break;
        if (start < prefix && !prefix.startsWith(start)) continue;
        const objects = section.objects(at);
        for (let next = countUpTo(objects, after); next < objects.length; next++) {
          const object = objects[next];
          if (object?.key.startsWith(prefix)) yield object;
          else if (object && object.key > prefix) break;
        }
      }
    }
  }
}

/** The last group that begins at or before the key; -1 if there is none. */
function lastAtOrBefore({ count, start, search = start }: Section, key: string): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (search(middle) <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** How many of the objects, which are in byte order, have keys up to this one. */
function countUpTo(objects: readonly SyntheticObject[], key: string): number {
  let low = 0;
  let high = objects.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((objects[middle]?.key ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function kept<K, V>(cache: Map<K, V>, key: K, create: () => V): V {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const value = create();
  const [oldest] = cache.keys();
  if (cache.size >= KEPT && oldest !== undefined) cache.delete(oldest);
  cache.set(key, value);
  return value;
}

export function text(key: string, content: string): SyntheticObject {
  return { key, sizeBytes: content.length, bytes: () => encodeText(content) };
}

export function filled(key: string, sizeBytes: number): SyntheticObject {
  return { key, sizeBytes, bytes: () => new Uint8Array(Buffer.alloc(sizeBytes, sizeBytes % 251)) };
}
