import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import { hasValidChecksum } from './header-checksum.ts';
import { parseNumber } from './numbers.ts';

/**
 * The header of a tar entry. Texts are `latin1` strings, one byte in each character, because names may not be UTF-8.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
export type TarHeader = {
  /** The whole name, whether from the header, its prefix, pax or GNU tar. That of a directory usually ends in `/`. */
  name: string;
  /** As stored, with the file type bits of writers that set them. */
  mode: number;
  uid: number;
  gid: number;
  /** As stored. Some writers give entries without data a size too, such as hard links. */
  sizeBytes: number;
  /** With a fraction if a pax header has one. */
  mtimeSeconds: number;
  /** One character. NUL for files of tars before ustar. */
  type: string;
  linkName: string;
  userName: string;
  groupName: string;
  /** 0 except for devices. */
  deviceMajor: number;
  deviceMinor: number;
  /** Extended attributes by name, without the prefix `SCHILY.xattr.`. */
  xattrs: ReadonlyMap<string, string>;
  /** For a sparse file: its name and its size with the holes. */
  sparse?: { name: string; sizeBytes: number };
};

const DEVICE_TYPES = '34';
/** Types of GNU tar whose headers use the prefix field for something else. */
const GNU_TYPES = 'KLS';
/** A time, which GNU tar may write into the prefix field: octal digits ended by a blank or NUL, or binary. */
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
  // Go before 1.8, and so each Docker that pushed to v1, writes prefixes into headers with GNU's magic.
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

/** The bytes before the first NUL, as a `latin1` string. */
export function untilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)).toString('latin1');
}
