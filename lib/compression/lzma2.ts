import type { ByteReader } from '../byte-reader.ts';
import { MiB } from '../bytes.ts';
import { CorruptLayerError } from './corrupt-layer-error.ts';
import { LzmaDecoder } from './lzma.ts';

/** Room behind the dictionary: it is moved down once for each so many bytes. */
const SLACK_BYTES = 8 * MiB;
/** What a chunk can hold at most. */
const CHUNK_BYTES = 2 * MiB;
/** The lowest bits of a position choose probabilities, so the window moves by multiples of this. */
const ALIGNMENT = 16;

/**
 * Unpacks an LZMA2 stream, a chunk of at most 2 MiB at a time, and leaves the reader behind its end.
 * Memory: as much as has been unpacked, up to the dictionary and 10 MiB.
 * @throws CorruptLayerError
 * @see https://tukaani.org/xz/xz-file-format.txt 5.3.1; the chunks' form is documented in xz's lzma2_decoder alone
 */
export async function* unpackLzma2(reader: ByteReader, dictionaryBytes: number): AsyncGenerator<Uint8Array> {
  const window = new Window(dictionaryBytes);
  const lzma = new LzmaDecoder();
  let needsDictionaryReset = true;
  let needsProperties = true;
  for (;;) {
    const [control = 0] = await readExactly(reader, 1);
    if (control === 0) return;
    const isLzma = control >= 0x80;
    if (control >= 0xe0 || control === 1) {
      window.reset();
      needsDictionaryReset = false;
      needsProperties = true;
    }
    if (needsDictionaryReset || (!isLzma && control > 2)) throw new CorruptLayerError(`LZMA2 control byte ${control}`);

    const sizes = Buffer.from(await readExactly(reader, isLzma ? 4 : 2));
    if (!isLzma) {
      yield window.append(await readExactly(reader, sizes.readUInt16BE(0) + 1));
      continue;
    }
    const unpackedBytes = ((control & 0x1f) << 16) + sizes.readUInt16BE(0) + 1;
    const packedBytes = sizes.readUInt16BE(2) + 1;
    if (control >= 0xc0) {
      const [properties = 0] = await readExactly(reader, 1);
      lzma.setProperties(properties);
      needsProperties = false;
    }
    if (needsProperties) throw new CorruptLayerError('an LZMA2 chunk lacks its properties');
    if (control >= 0xa0) lzma.resetState();
    const packed = await readExactly(reader, packedBytes);
    yield window.extend(unpackedBytes, (bytes, start, end) => lzma.decode(packed, bytes, start, end));
  }
}

async function readExactly(reader: ByteReader, sizeBytes: number): Promise<Uint8Array> {
  const bytes = await reader.read(sizeBytes);
  if (bytes.length < sizeBytes) throw new CorruptLayerError('the xz stream is cut off');
  return bytes;
}

/** What was unpacked last, at least a dictionary's size of it, in one piece from 0. Grows only as it is filled. */
class Window {
  readonly #dictionaryBytes: number;
  #bytes = new Uint8Array(CHUNK_BYTES);
  #end = 0;

  constructor(dictionaryBytes: number) {
    this.#dictionaryBytes = Math.ceil(dictionaryBytes / ALIGNMENT) * ALIGNMENT;
  }

  reset(): void {
    this.#end = 0;
  }

  append(bytes: Uint8Array): Uint8Array {
    return this.extend(bytes.length, (window, start) => window.set(bytes, start));
  }

  /** Has so many more bytes filled in and gives a copy of them. */
  extend(sizeBytes: number, fill: (bytes: Uint8Array, start: number, end: number) => void): Uint8Array {
    this.#makeRoom(sizeBytes);
    const start = this.#end;
    this.#end += sizeBytes;
    fill(this.#bytes, start, this.#end);
    return this.#bytes.slice(start, this.#end);
  }

  #makeRoom(sizeBytes: number): void {
    if (this.#end + sizeBytes <= this.#bytes.length) return;
    const most = this.#dictionaryBytes + SLACK_BYTES + CHUNK_BYTES;
    if (this.#bytes.length < most) {
      const grown = new Uint8Array(Math.min(most, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = grown;
      return;
    }
    const gone = Math.floor((this.#end - this.#dictionaryBytes) / ALIGNMENT) * ALIGNMENT;
    this.#bytes.copyWithin(0, gone, this.#end);
    this.#end -= gone;
  }
}
