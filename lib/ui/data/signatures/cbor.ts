// Reads CBOR, as far as signatures need it: items of definite length, maps whose keys are integers or texts, and of the simple values
// `false`, `true` and `null`. https://www.rfc-editor.org/rfc/rfc8949

export type CborValue = null | boolean | number | string | Uint8Array | CborValue[] | CborMap | CborTag;
export type CborMap = Map<number | string, CborValue>;
export type CborTag = { tag: number; value: CborValue };

/** Items of items: more than any signature has, and less than the stack bears. */
const MAX_DEPTH = 16;
/** Keys and values of maps count as items. */
const MAX_ITEMS = 1000;

/** Major types of the keys of maps: integers and texts. */
const KEYS: readonly number[] = [0, 1, 3];

/** Keeps a byte order mark, so that different bytes are different texts. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one item. Byte strings share the memory of the input.
 * @returns `undefined` if the bytes are not one such item alone, repeat a key of a map, hold an integer beyond 53 bits, are nested
 *   more than 16 levels deep or have more than 1,000 items
 */
export function parseCbor(bytes: Uint8Array): CborValue | undefined {
  try {
    const reader = new CborReader(bytes);
    const value = reader.item(0);
    return reader.isAtEnd ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The value that has this tag; `undefined` for a value without it. */
export function taggedValue(value: CborValue | undefined, tag: number): CborValue | undefined {
  const isTag = typeof value === 'object' && value !== null && 'tag' in value;
  return isTag && value.tag === tag ? value.value : undefined;
}

/** Methods throw an error where the bytes are no CBOR that is read here; `DataView` does so beyond their end. */
class CborReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  item(depth: number): CborValue {
    if (depth > MAX_DEPTH || ++this.#items > MAX_ITEMS) throw new RangeError('too deep, or too many items');
    const initial = this.#view.getUint8(this.#at++);
    const [majorType, info] = [initial >> 5, initial & 0x1f];
    if (majorType === 7) return this.#simpleValue(info);
    const argument = this.#argument(info);
    if (majorType === 0) return argument;
    if (majorType === 1) return -1 - argument;
    if (majorType === 2) return this.#take(argument);
    if (majorType === 3) return utf8.decode(this.#take(argument));
    if (majorType === 4) return this.#array(argument, depth + 1);
    if (majorType === 5) return this.#map(argument, depth + 1);
    return { tag: argument, value: this.item(depth + 1) };
  }

  /** The number, length, count or tag at the start of an item. */
  #argument(info: number): number {
    if (info < 24) return info;
    const view = this.#view;
    const at = this.#at;
    if (info > 27) throw new RangeError('an indefinite length, or a reserved value');
    this.#at += 2 ** (info - 24);
    if (info === 24) return view.getUint8(at);
    if (info === 25) return view.getUint16(at);
    if (info === 26) return view.getUint32(at);
    const argument = Number(view.getBigUint64(at));
    if (!Number.isSafeInteger(argument)) throw new RangeError('an integer beyond 53 bits');
    return argument;
  }

  #simpleValue(info: number): null | boolean | number {
    const at = this.#at;
    if (info === 20 || info === 21) return info === 21;
    if (info === 22) return null;
    if (info !== 26 && info !== 27) throw new RangeError('another simple value');
    this.#at += 2 ** (info - 24);
    return info === 26 ? this.#view.getFloat32(at) : this.#view.getFloat64(at);
  }

  #take(length: number): Uint8Array {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new RangeError('a string that does not end');
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  #array(count: number, depth: number): CborValue[] {
    const items: CborValue[] = [];
    while (items.length < count) items.push(this.item(depth));
    return items;
  }

  #map(count: number, depth: number): CborMap {
    const map: CborMap = new Map();
    while (map.size < count) {
      const majorType = this.#view.getUint8(this.#at) >> 5;
      const key = this.item(depth) as number | string;
      if (!KEYS.includes(majorType) || map.has(key)) throw new RangeError('another key, or one that is repeated');
      map.set(key, this.item(depth));
    }
    return map;
  }
}
