import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import { hasValidChecksum } from './header-checksum.ts';
import { parseNumber } from './numbers.ts';

/**
 * What a tar says of an entry. Texts are bytes, one in each character (`latin1`), as names need not be UTF-8.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
export type TarHeader = {
  /** Whole, from wherever it was written; a directory's mostly ends in `/`. */
  name: string;
  /** As stored: with the bits of the file's type if the writer put them in. */
  mode: number;
  uid: number;
  gid: number;
  /** As stored. Entries without data may have one too, such as the hard links of some writers. */
  sizeBytes: number;
  /** With a fraction if a pax header has one. */
  mtimeSeconds: number;
  /** The one character; an old-style file's is NUL. */
  type: string;
  linkName: string;
  userName: string;
  groupName: string;
  /** Of devices only, else 0. */
  deviceMajor: number;
  deviceMinor: number;
  /** Extended attributes by name, without the prefix that pax gives them. */
  xattrs: ReadonlyMap<string, string>;
  /** If the file has holes: what it is called and how large it is when they are put back in. */
  sparse?: { name: string; sizeBytes: number };
};

const DEVICE_TYPES = '34';
/** Types of GNU tar whose headers use the place of the prefix for something else. */
const GNU_TYPES = 'KLS';
/** GNU tar may keep two times there: octal digits, closed by a blank or NUL, or binary. */
const GNU_TIME = /^(?:[0-7]{11}[ \0]|[\x80\xff])/;

/** @throws CorruptLayerError */
export function parseHeader(block: Uint8Array): TarHeader {
  if (!hasValidChecksum(block)) throw new CorruptLayerError('a tar header has a wrong checksum');
  const bytes = (start: number, length: number) => block.subarray(start, start + length);
  const text = (start: number, length: number) => untilNul(bytes(start, length));
  const number = (start: number, length: number) => parseNumber(bytes(start, length));

  const magic = Buffer.from(bytes(257, 6)).toString('latin1');
  const isUstar = magic.startsWith('ustar');
  const type = String.fromCharCode(block[156] ?? 0);
  const isDevice = isUstar && DEVICE_TYPES.includes(type);
  const prefix = isUstar && !GNU_TYPES.includes(type) ? text(345, 155) : '';
  // Go before 1.8, and so every docker that pushed to v1, writes prefixes into headers that call themselves GNU's.
  const hasPrefix =
    prefix !== '' && (magic === 'ustar\0' || !GNU_TIME.test(Buffer.from(bytes(345, 12)).toString('latin1')));
  const name = hasPrefix ? `${prefix}/${text(0, 100)}` : text(0, 100);
  return {
    name,
    mode: number(100, 8),
    uid: number(108, 8),
    gid: number(116, 8),
    sizeBytes: number(124, 12),
    mtimeSeconds: number(136, 12),
    type,
    linkName: text(157, 100),
    userName: isUstar ? text(265, 32) : '',
    groupName: isUstar ? text(297, 32) : '',
    deviceMajor: isDevice ? number(329, 8) : 0,
    deviceMinor: isDevice ? number(337, 8) : 0,
    xattrs: new Map(),
    ...(type === 'S' && { sparse: { name, sizeBytes: number(483, 12) } }),
  };
}

/** Bytes up to the first NUL, as text with a byte in each character. */
export function untilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString('latin1');
}
