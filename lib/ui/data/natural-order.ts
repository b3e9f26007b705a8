/** Runs of digits, and the text between them. */
const PARTS = /\d+|\D+/g;

/** Below every character of a tag: what follows a version and precedes the release (`-rc`) < the end < any other part. */
const [END_OF_TEXT, SUFFIX, END] = ['\u{0}', '\u{1}', '\u{2}'];

/**
 * A text whose order among others, by code units, is the order in which people read versions: numbers by their value, and a release
 * after its candidates: `6.0.8 < 6.0.10`, `1.0-rc1 < 1.0`. Tags that differ only in leading zeros have the same key.
 */
export function naturalKey(tag: string): string {
  return tag.replace(PARTS, keyOfPart) + END;
}

function keyOfPart(part: string): string {
  if (isNumber(part)) {
    const digits = part.replace(/^0+/, '');
    return `0${String.fromCharCode('0'.charCodeAt(0) + digits.length)}${digits}`; // the longer number is the larger one
  }
  return (part.startsWith('-') ? SUFFIX + part.slice(1) : part) + END_OF_TEXT;
}

function isNumber(part: string): boolean {
  return part.charCodeAt(0) <= 57 && part.charCodeAt(0) >= 48;
}

/** Compares by code units. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
