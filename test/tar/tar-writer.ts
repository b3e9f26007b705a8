/** An entry with its header fields as they are to be written. Texts are `latin1` strings. */
export type RawEntry = {
  name?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  /** The size in the header, if it is not that of `data`. */
  sizeBytes?: number;
  mtimeSeconds?: number;
  type?: string;
  linkName?: string;
  userName?: string;
  groupName?: string;
  deviceMajor?: number;
  deviceMinor?: number;
  prefix?: string;
  /** The magic of the header: POSIX by default, GNU, or none as in v7. */
  magic?: 'ustar\x0000' | 'ustar  \0' | '';
  data?: Uint8Array | string;
  /** Bytes that overwrite the header before its checksum is computed, by position. */
  patches?: Record<number, string>;
};

export const GNU_MAGIC = 'ustar  \0';
const BLOCK_BYTES = 512;

/** A tar without zero blocks at its end, as Docker before 1.3 sent it. */
export function rawTar(...entries: readonly RawEntry[]): Buffer {
  return Buffer.concat(entries.flatMap((entry) => [header(entry), padded(bytesOf(entry.data))]));
}

export function trailer(): Buffer {
  return Buffer.alloc(2 * BLOCK_BYTES);
}

/** A pax header for the next entry, or for all following ones. */
export function pax(records: Record<string, string>, type: 'x' | 'g' = 'x'): RawEntry {
  return { name: 'PaxHeader', type, data: Object.entries(records).map(paxRecord).join('') };
}

/** The name or the link target of the next entry. */
export function gnuLong(type: 'L' | 'K', text: string): RawEntry {
  return { name: '././@LongLink', magic: GNU_MAGIC, type, data: `${text}\0` };
}

function paxRecord([keyword, value]: [string, string]): string {
  const rest = ` ${keyword}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

function header(entry: RawEntry): Buffer {
  const { magic = 'ustar\x0000', type = '0', patches = {} } = entry;
  const block = Buffer.alloc(BLOCK_BYTES);
  const text = (value: string | undefined, at: number, length: number) =>
    block.write(value ?? '', at, length, 'latin1');
  const number = (value: number | undefined, at: number, length: number) =>
    numberField(value ?? 0, length).copy(block, at);
  text(entry.name, 0, 100);
  number(entry.mode ?? 0o644, 100, 8);
  number(entry.uid, 108, 8);
  number(entry.gid, 116, 8);
  number(entry.sizeBytes ?? bytesOf(entry.data).length, 124, 12);
  number(entry.mtimeSeconds, 136, 12);
  text(type, 156, 1);
  text(entry.linkName, 157, 100);
  text(magic, 257, 8);
  text(entry.userName, 265, 32);
  text(entry.groupName, 297, 32);
  if (magic !== '') number(entry.deviceMajor, 329, 8);
  if (magic !== '') number(entry.deviceMinor, 337, 8);
  text(entry.prefix, 345, 155);
  for (const [at, bytes] of Object.entries(patches)) block.write(bytes, Number(at), 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Octal if it fits, else binary as in GNU tar. */
function numberField(value: number, length: number): Buffer {
  const octal = value.toString(8).padStart(length - 1, '0');
  if (value >= 0 && octal.length < length) return Buffer.from(`${octal}\0`);
  const bits = BigInt.asUintN(8 * length, BigInt(value)) | (1n << BigInt(8 * length - 1));
  return Buffer.from(bits.toString(16), 'hex');
}

function bytesOf(data: Uint8Array | string = ''): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
}

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data, Buffer.alloc(-data.length & (BLOCK_BYTES - 1))]);
}
