// Reads a tar as a stream of entries. TarSum needs all fields as they are stored, but the tar-stream package names the type,
// masks the mode and decodes attributes as UTF-8; it also depends on native code for another runtime (bare-fs).

import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import { ByteReader } from '../streams/byte-reader.ts';
import { MiB } from '../streams/bytes.ts';
import { parseHeader, type TarHeader, untilNul } from './header.ts';
import { BLOCK_BYTES } from './header-checksum.ts';
import { applyPax, globalPax, type PaxRecords, parsePax } from './pax.ts';

/** How large the metadata of one entry may be: more than names and attributes need. It is held in memory. */
const LONGEST_METADATA_BYTES = MiB;
/** About two million entries. Callers keep something of each entry, and a few kilobytes can unpack to any number of them. */
const MOST_HEADER_BYTES = 256 * MiB;
const LEAST_HEADER_BYTES = 128;
/** Links, devices, directories and pipes: no data follows the header, even if it has a size. */
const TYPES_WITHOUT_DATA = '123456';
/** Entries that describe the next entry (`g`: all following ones): pax, Solaris' pax, long names of GNU tar. */
const METADATA_TYPES = 'gxXLK';

export type TarEntry = TarHeader & {
  /** Read it before asking for the next entry: the rest is then skipped. A sparse file has its data without the holes. */
  data: AsyncIterable<Uint8Array>;
};

/** What the preceding metadata entries say of an entry. */
type Metadata = { global: PaxRecords; pax: PaxRecords; name?: string; linkName?: string; sizeBytes: number };

/**
 * Reads a tar (v7, ustar, GNU, pax) to the end of the stream, one entry at a time. Metadata entries are merged into the entry
 * that they describe. A tar may end without zero blocks: Docker before 1.3 left them out.
 * @throws CorruptLayerError if it is not a tar, is malformed or truncated, or has too many entries
 */
export async function* readTar(tar: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(tar);
  try {
    let metadata = noMetadata(new Map());
    let headerBytes = 0;
    for (;;) {
      const header = await readHeader(reader);
      if (!header) break;
      if (METADATA_TYPES.includes(header.type)) {
        metadata = await readMetadata(reader, header, metadata);
        continue;
      }
      const described = describe(header, metadata);
      headerBytes += LEAST_HEADER_BYTES + described.name.length + metadata.sizeBytes;
      if (headerBytes > MOST_HEADER_BYTES) throw new CorruptLayerError('the tar has too many entries');
      yield* readEntry(reader, described);
      metadata = noMetadata(metadata.global);
    }
    if (metadata.pax.size > 0 || metadata.name !== undefined || metadata.linkName !== undefined) {
      throw new CorruptLayerError('the tar ends with metadata and no entry after it');
    }
    await reader.skip(Number.POSITIVE_INFINITY);
  } finally {
    await reader.close();
  }
}

/** `undefined` at the end of the tar. */
async function readHeader(reader: ByteReader): Promise<TarHeader | undefined> {
  const block = await reader.read(BLOCK_BYTES);
  if ((block[0] ?? 0) === 0 && block.every((byte) => byte === 0)) return undefined;
  if (block.length < BLOCK_BYTES) throw cutOff();
  const header = parseHeader(block);
  if (header.sizeBytes < 0) throw new CorruptLayerError(`a tar header has the size ${header.sizeBytes}`);
  if (header.type === 'S') await skipSparseMap(reader, block);
  return header;
}

/** In the old GNU format, the map of a sparse file continues in further blocks, which its size does not include. */
async function skipSparseMap(reader: ByteReader, header: Uint8Array): Promise<void> {
  let continues = header[482] !== 0;
  while (continues) {
    const block = await reader.read(BLOCK_BYTES);
    if (block.length < BLOCK_BYTES) throw cutOff();
    continues = block[504] !== 0;
  }
}

function noMetadata(global: PaxRecords): Metadata {
  return { global, pax: new Map(), sizeBytes: 0 };
}

/** Adds a metadata entry to those before it. */
async function readMetadata(reader: ByteReader, header: TarHeader, before: Metadata): Promise<Metadata> {
  const sizeBytes = before.sizeBytes + header.sizeBytes;
  if (sizeBytes > LONGEST_METADATA_BYTES) throw new CorruptLayerError(`a tar entry has ${sizeBytes} bytes of metadata`);
  const bytes = await reader.read(header.sizeBytes);
  if (bytes.length < header.sizeBytes) throw cutOff();
  await skipPadding(reader, header.sizeBytes);
  switch (header.type) {
    case 'L':
      return { ...before, sizeBytes, name: untilNul(bytes) };
    case 'K':
      return { ...before, sizeBytes, linkName: untilNul(bytes) };
    case 'g':
      return { ...before, sizeBytes, global: new Map([...before.global, ...globalPax(parsePax(bytes))]) };
    default:
      return { ...before, sizeBytes, pax: new Map([...before.pax, ...parsePax(bytes)]) };
  }
}

function describe(header: TarHeader, { global, pax, name, linkName }: Metadata): TarHeader {
  const named = { ...header, ...(name !== undefined && { name }), ...(linkName !== undefined && { linkName }) };
  return applyPax(applyPax(named, global), pax);
}

async function* readEntry(reader: ByteReader, header: TarHeader): AsyncGenerator<TarEntry> {
  const dataBytes = hasData(header) ? header.sizeBytes : 0;
  const end = reader.positionBytes + dataBytes;
  yield { ...header, data: readData(reader, end) };
  await reader.skip(end - reader.positionBytes);
  if (reader.positionBytes < end) throw cutOff();
  await skipPadding(reader, dataBytes);
}

/** In tars before ustar a directory is a file whose name ends in `/`. */
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

/** The padding of the last entry may be missing, as the zero blocks may. */
async function skipPadding(reader: ByteReader, afterBytes: number): Promise<void> {
  await reader.skip(-afterBytes & (BLOCK_BYTES - 1));
}

function cutOff(): CorruptLayerError {
  return new CorruptLayerError('the tar is truncated');
}
