/** Runs of digits, and the text between them. */
const PARTS = /\d+|\D+/g;

/**
 * Compares tags as people order versions: numbers by their value, and a release after its candidates: `6.0.8 < 6.0.10`,
 * `1.0-rc1 < 1.0`. Texts that differ only in leading zeros are compared as texts.
 */
export function compareNaturally(a: string, b: string): number {
  const left = a.match(PARTS) ?? [];
  const right = b.match(PARTS) ?? [];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const order = comparePart(left[at], right[at]);
    if (order !== 0) return order;
  }
  return compareText(a, b);
}

function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === undefined) return isSuffix(b) ? 1 : -1;
  if (b === undefined) return isSuffix(a) ? -1 : 1;
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  return compareText(a, b);
}

/** What follows a version and precedes the release: `-rc`, `-beta`. */
function isSuffix(part: string | undefined): boolean {
  return part?.startsWith('-') ?? false;
}

function isNumber(part: string): boolean {
  return part.charCodeAt(0) <= 57 && part.charCodeAt(0) >= 48;
}

/** Decimal numbers of any length. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return left.length - right.length || compareText(left, right);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
