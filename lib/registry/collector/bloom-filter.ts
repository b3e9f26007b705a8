// The set of names that a run of the collector has seen, in 16 bits each. It may report a name that was never added (about one in
// 2,000), never the opposite, so what depends on it is kept once too often and never removed by mistake. Each run has another
// salt, so that a name is not reported by mistake run after run.
import { hash, randomBytes } from 'node:crypto';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { encodeText } from '../../streams/bytes.ts';

const BITS_PER_NAME = 16;

/** The best number for 16 bits: 16 × ln 2. */
const PROBES = 11;

/** The first layer; each further one has room for twice as many. */
const FIRST_NAMES = 65_536;

/** The most names of one layer: 128 MiB. */
const MAX_NAMES = 64 * 1024 * 1024;

const SALT_BYTES = 16;
const MAX_HEADER_BYTES = 4096;

type Layer = { capacity: number; count: number; bits: Uint8Array };

/** A Bloom filter that grows: where a layer is full, the next one begins. */
export class BloomFilter {
  readonly #salt: string;
  readonly #layers: Layer[];

  private constructor(salt: string, layers: Layer[]) {
    this.#salt = salt;
    this.#layers = layers;
  }

  /** @param expectedNames how many names the first layer has room for */
  static empty(expectedNames = FIRST_NAMES): BloomFilter {
    return new BloomFilter(randomBytes(SALT_BYTES).toString('hex'), [emptyLayer(Math.max(expectedNames, FIRST_NAMES))]);
  }

  /** How many names were added, without those that it reported already. */
  get count(): number {
    return this.#layers.reduce((sum, { count }) => sum + count, 0);
  }

  get sizeBytes(): number {
    return this.#layers.reduce((sum, { bits }) => sum + bits.length, 0);
  }

  add(name: string): void {
    const probes = probesOf(this.#salt, name);
    if (this.#layers.some((layer) => holds(layer, probes))) return;
    let layer = this.#layers.at(-1);
    if (!layer || layer.count >= layer.capacity) {
      layer = emptyLayer(2 * (layer?.capacity ?? FIRST_NAMES));
      this.#layers.push(layer);
    }
    for (const bit of bitsOf(layer, probes)) layer.bits[bit >>> 3] = (layer.bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
    layer.count++;
  }

  has(name: string): boolean {
    const probes = probesOf(this.#salt, name);
    return this.#layers.some((layer) => holds(layer, probes));
  }

  /** The filter as bytes, in pieces: a line of JSON, then the bits of each layer. */
  *encode(): Generator<Uint8Array> {
    const layers = this.#layers.map(({ capacity, count }) => ({ capacity, count }));
    yield encodeText(`${JSON.stringify({ salt: this.#salt, layers })}\n`);
    for (const { bits } of this.#layers) yield bits;
  }

  /** The inverse of `encode`. @throws Error if the bytes are no filter */
  static decode(bytes: Uint8Array): BloomFilter {
    const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(0x0a);
    const header = end < 0 ? undefined : parseJson(bytes.subarray(0, end));
    if (!isJsonObject(header) || typeof header.salt !== 'string' || !Array.isArray(header.layers)) {
      throw new Error('a stored filter of the collector is damaged');
    }
    let at = end + 1;
    const layers = header.layers.map((item): Layer => {
      const { capacity, count } = isJsonObject(item) ? item : {};
      if (typeof capacity !== 'number' || typeof count !== 'number') {
        throw new Error('a stored filter of the collector is damaged');
      }
      const layer = { capacity, count, bits: bytes.slice(at, at + bytesFor(capacity)) };
      at += layer.bits.length;
      return layer;
    });
    if (at !== bytes.length || layers.some(({ capacity, bits }) => bits.length !== bytesFor(capacity))) {
      throw new Error('a stored filter of the collector is damaged');
    }
    return new BloomFilter(header.salt, layers);
  }
}

function emptyLayer(names: number): Layer {
  const capacity = Math.min(names, MAX_NAMES);
  return { capacity, count: 0, bits: new Uint8Array(bytesFor(capacity)) };
}

function bytesFor(capacity: number): number {
  return Math.ceil((capacity * BITS_PER_NAME) / 8);
}

/** Two numbers of 48 bits, from which all positions follow. */
type Probes = readonly [number, number];

function probesOf(salt: string, name: string): Probes {
  const digest = hash('sha1', salt + name, 'buffer');
  return [digest.readUIntBE(0, 6), digest.readUIntBE(6, 6)];
}

/** https://www.eecs.harvard.edu/~michaelm/postscripts/rsa2008.pdf (double hashing) */
function* bitsOf({ bits }: Layer, [first, second]: Probes): Generator<number> {
  const size = bits.length * 8;
  const step = (second % (size - 1)) + 1;
  let bit = first % size;
  for (let probe = 0; probe < PROBES; probe++) {
    yield bit;
    bit = (bit + step) % size;
  }
}

function holds(layer: Layer, probes: Probes): boolean {
  for (const bit of bitsOf(layer, probes)) if (((layer.bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  return true;
}
