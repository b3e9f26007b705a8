import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import type { TarHeader } from './header.ts';
import { parseDecimal } from './numbers.ts';

const XATTR = 'SCHILY.xattr.';

/** What a pax header says: values by keyword, a byte in each character. */
export type PaxRecords = ReadonlyMap<string, string>;

/**
 * Records of the form `<length> <keyword>=<value>\n`, the length being that of the whole record.
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
      throw new CorruptLayerError('a pax header has a broken record');
    }
    records.set(record.slice(0, equals), record.slice(equals + 1));
    start = end;
  }
  return records;
}

/**
 * A header with what pax says in place of what it says itself. An empty value says nothing.
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
  if (!/^-?[0-9]+(\.[0-9]*)?$/.test(value))
    throw new CorruptLayerError(`a pax header has the time ${JSON.stringify(value)}`);
  return Number(value);
}

function xattrsOf(records: PaxRecords): ReadonlyMap<string, string> {
  const named = [...records].filter(([keyword]) => keyword.startsWith(XATTR));
  return new Map(named.map(([keyword, value]) => [keyword.slice(XATTR.length), value]));
}
