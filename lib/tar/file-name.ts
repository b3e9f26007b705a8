import { isUtf8 } from 'node:buffer';

/** One UTF-8 sequence in a `latin1` string, or one byte that belongs to none. */
const UTF8 =
  /[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|[\x80-\xff]/g;

/**
 * Decodes the name of a file. Bytes that are not UTF-8 become U+DC80 to U+DCFF, as in Python, so that different names stay
 * different.
 * @param bytes a `latin1` string: one byte in each character
 * @see https://peps.python.org/pep-0383/
 */
export function decodeFileName(bytes: string): string {
  const buffer = Buffer.from(bytes, 'latin1');
  if (isUtf8(buffer)) return buffer.toString('utf8');
  return bytes.replace(UTF8, (character) =>
    character.length === 1 && character >= '\x80'
      ? String.fromCharCode(0xdc00 + character.charCodeAt(0))
      : Buffer.from(character, 'latin1').toString('utf8'),
  );
}
