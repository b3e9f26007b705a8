// A tar as a stream of entries. Our own, as tar-stream gives a file's type by name, masks its mode and knows no xattrs,
// while TarSum is over all fields as they are; and as it brings native code for another runtime with it (bare-fs).
import { ByteReader } from '../byte-reader.ts';
import { MiB } from '../bytes.ts';
import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import { parseHeader, type TarHeader, untilNul } from './header.ts';
import { BLOCK_BYTES } from './header-checksum.ts';
import { applyPax, type PaxRecords, parsePax } from './pax.ts';

/** More than any name or set of attributes needs; they are held in memory. */
const LONGEST_METADATA_BYTES = MiB;
/** Links, devices, directories and pipes: nothing follows their header, whatever size it has. */
const TYPES_WITHOUT_DATA = '123456';

export type TarEntry = TarHeader & {
  /** To be read before the next entry is asked for; what is not read is skipped. Of a sparse file, only what is stored. */
  data: AsyncIterable<Uint8Array>;
};

/** What the records in front of an entry say of it. */
type Metadata = { pax: PaxRecords; name?: string; linkName?: string };

/**
 * Reads a tar (v7, ustar, GNU, pax) to the end of the stream, one entry at a time. Records that only describe the entry
 * behind them are merged into it. A tar may end without the zero blocks, as docker before 1.3 left them out.
 * @throws CorruptLayerError if it is not a tar, broken or cut off
 */
export async function* readTar(tar: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(tar);
  try {
    let global: PaxRecords = new Map();
    let metadata: Metadata = { pax: new Map() };
    for (;;) {
      const header = await readHeader(reader);
      if (!header) break;
      switch (header.type) {
        case 'g':
          global = new Map([...global, ...parsePax(await readMetadata(reader, header))]);
          break;
        case 'x':
        case 'X':
          metadata = { ...metadata, pax: new Map([...metadata.pax, ...parsePax(await readMetadata(reader, header))]) };
          break;
        case 'L':
          metadata = { ...metadata, name: untilNul(await readMetadata(reader, header)) };
          break;
        case 'K':
          metadata = { ...metadata, linkName: untilNul(await readMetadata(reader, header)) };
          break;
        default:
          yield* readEntry(reader, describe(header, metadata, global));
          metadata = { pax: new Map() };
      }
    }
    if (metadata.pax.size > 0 || metadata.name !== undefined || metadata.linkName !== undefined) {
      throw new CorruptLayerError('the tar ends where an entry should follow');
    }
    await reader.skip(Number.POSITIVE_INFINITY);
  } finally {
    await reader.close();
  }
}

/** `undefined` at the end of the tar. */
async function readHeader(reader: ByteReader): Promise<TarHeader | undefined> {
  const block = await reader.read(BLOCK_BYTES);
  if (block.every((byte) => byte === 0)) return undefined;
  if (block.length < BLOCK_BYTES) throw cutOff();
  const header = parseHeader(block);
  if (header.sizeBytes < 0) throw new CorruptLayerError(`a tar header has the size ${header.sizeBytes}`);
  if (header.type === 'S') await skipSparseMap(reader, block);
  return header;
}

/** Old GNU sparse files: the places of the data go on in further blocks, which the size does not count. */
async function skipSparseMap(reader: ByteReader, header: Uint8Array): Promise<void> {
  let goesOn = header[482] !== 0;
  while (goesOn) {
    const block = await reader.read(BLOCK_BYTES);
    if (block.length < BLOCK_BYTES) throw cutOff();
    goesOn = block[504] !== 0;
  }
}

async function readMetadata(reader: ByteReader, { sizeBytes }: TarHeader): Promise<Uint8Array> {
  if (sizeBytes > LONGEST_METADATA_BYTES) throw new CorruptLayerError(`a tar has ${sizeBytes} bytes of metadata`);
  const bytes = await reader.read(sizeBytes);
  if (bytes.length < sizeBytes) throw cutOff();
  await skipPadding(reader, sizeBytes);
  return bytes;
}

function describe(header: TarHeader, { pax, name, linkName }: Metadata, global: PaxRecords): TarHeader {
  const named = { ...header, ...(name !== undefined && { name }), ...(linkName !== undefined && { linkName }) };
  return applyPax(named, global.size > 0 ? new Map([...global, ...pax]) : pax);
}

async function* readEntry(reader: ByteReader, header: TarHeader): AsyncGenerator<TarEntry> {
  const dataBytes = hasData(header) ? header.sizeBytes : 0;
  const end = reader.positionBytes + dataBytes;
  yield { ...header, data: readData(reader, end) };
  await reader.skip(end - reader.positionBytes);
  if (reader.positionBytes < end) throw cutOff();
  await skipPadding(reader, dataBytes);
}

/** Tars before ustar have directories as files whose name ends in `/`. */
function hasData({ type, name }: TarHeader): boolean {
  return !TYPES_WITHOUT_DATA.includes(type) && !(type === '\0' && name.endsWith('/'));
}

async function* readData(reader: ByteReader, end: number): AsyncGenerator<Uint8Array> {
  while (reader.positionBytes < end) {
    const chunk = await reader.readSome(end - reader.positionBytes);
    if (!chunk) throw cutOff();
    yield chunk;
  }
}

/** The last padding may be missing, as the zero blocks may. */
async function skipPadding(reader: ByteReader, afterBytes: number): Promise<void> {
  await reader.skip(-afterBytes & (BLOCK_BYTES - 1));
}

function cutOff(): CorruptLayerError {
  return new CorruptLayerError('the tar is cut off');
}
