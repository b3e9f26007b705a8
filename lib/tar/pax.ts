import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import type { TarHeader } from './header.ts';
import { parseDecimal } from './numbers.ts';

const XATTR = 'SCHILY.xattr.';
const KEYWORDS = new Set([
  'path',
  'linkpath',
  'size',
  'mtime',
  'uid',
  'gid',
  'uname',
  'gname',
  'GNU.sparse.name',
  'GNU.sparse.size',
  'GNU.sparse.realsize',
]);

/** The records of a pax header: values by keyword, as `latin1` strings. Only `KEYWORDS` and extended attributes are kept. */
export type PaxRecords = ReadonlyMap<string, string>;

/**
 * Parses records of the form `<length> <keyword>=<value>\n`, where the length is that of the whole record.
 * @throws CorruptLayerError
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
 */
export function parsePax(bytes: Uint8Array): PaxRecords {
  const text = Buffer.from(bytes).toString('latin1');
  const records = new Map<string, string>();
  for (let start = 0; start < text.length && text[start] !== '\0'; ) {
    const [digits = ''] = /^[0-9]{1,9}(?= )/.exec(text.slice(start, start + 10)) ?? [];
    const end = start + Number(digits);
    const record = text.slice(start + digits.length + 1, end - 1);
    const equals = record.indexOf('=');
    if (digits === '' || end > text.length || text[end - 1] !== '\n' || equals < 1) {
      throw new CorruptLayerError('a pax header has a malformed record');
    }
    const keyword = record.slice(0, equals);
    if (KEYWORDS.has(keyword) || keyword.startsWith(XATTR)) records.set(keyword, record.slice(equals + 1));
    start = end;
  }
  return records;
}

/** The records that a global header sets for all following entries, without extended attributes, whose number has no limit. */
export function globalPax(records: PaxRecords): PaxRecords {
  return new Map([...records].filter(([keyword]) => KEYWORDS.has(keyword)));
}

/**
 * Replaces the fields of a header for which pax has a value. An empty value replaces nothing.
 * @throws CorruptLayerError
 */
export function applyPax(header: TarHeader, records: PaxRecords): TarHeader {
  if (records.size === 0) return header;
  const text = (keyword: string, otherwise: string) => records.get(keyword) || otherwise;
  const number = (keyword: string, otherwise: number) => {
    const value = records.get(keyword);
    return value ? parseDecimal(value) : otherwise;
  };
  const name = text('path', header.name);
  const sizeBytes = number('size', header.sizeBytes);
  if (sizeBytes < 0) throw new CorruptLayerError(`a pax header has the size ${sizeBytes}`);
  const sparseBytes = number('GNU.sparse.realsize', number('GNU.sparse.size', header.sparse?.sizeBytes ?? sizeBytes));
  const isSparse = header.sparse !== undefined || records.has('GNU.sparse.realsize') || records.has('GNU.sparse.size');
  return {
    ...header,
    name,
    sizeBytes,
    uid: number('uid', header.uid),
    gid: number('gid', header.gid),
    mtimeSeconds: seconds(records.get('mtime')) ?? header.mtimeSeconds,
    linkName: text('linkpath', header.linkName),
    userName: text('uname', header.userName),
    groupName: text('gname', header.groupName),
    xattrs: xattrsOf(records),
    ...(isSparse && { sparse: { name: text('GNU.sparse.name', name), sizeBytes: sparseBytes } }),
  };
}

function seconds(value: string | undefined): number | undefined {
  if (!value) return undefined;
  if (/^-?[0-9]+(\.[0-9]*)?$/.test(value)) return Number(value);
  throw new CorruptLayerError(`a pax header has the time ${JSON.stringify(value)}`);
}

function xattrsOf(records: PaxRecords): ReadonlyMap<string, string> {
  const named = [...records].filter(([keyword]) => keyword.startsWith(XATTR));
  return new Map(named.map(([keyword, value]) => [keyword.slice(XATTR.length), value]));
}
