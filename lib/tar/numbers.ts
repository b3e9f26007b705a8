import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';

/**
 * A number of a tar header: octal digits between blanks and NULs, no digits for 0, or big-endian binary with the top bit set.
 * @throws CorruptLayerError if it is none of these or beyond 2^53
 */
export function parseNumber(field: Uint8Array): number {
  const [first = 0] = field;
  if (first & 0x80) return parseBinary(field);
  if (field.every(isBlank)) return 0;
  const number = parseOctal(field, 0, field.length);
  if (number !== undefined) return number;
  const text = Buffer.from(field).toString('latin1');
  throw new CorruptLayerError(`a tar header has the number ${JSON.stringify(text)}`);
}

/** A number in octal digits between blanks and NULs; `undefined` for anything else, no digits, or beyond 2^53. */
export function parseOctal(bytes: Uint8Array, start: number, end: number): number | undefined {
  let from = start;
  let to = end;
  while (from < to && isBlank(bytes[from] as number)) from++;
  while (from < to && isBlank(bytes[to - 1] as number)) to--;
  if (from === to) return undefined;
  let number = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    if (!isOctalDigit(byte)) return undefined;
    number = 8 * number + (byte - ZERO);
  }
  return Number.isSafeInteger(number) ? number : undefined;
}

const ZERO = 0x30;
const isOctalDigit = (byte: number) => byte >= ZERO && byte < ZERO + 8;
const isBlank = (byte: number) => byte === 0x20 || byte === 0;

/** A number of a pax header. @throws CorruptLayerError if it has other characters than digits or is beyond 2^53 */
export function parseDecimal(text: string): number {
  if (!/^-?[0-9]+$/.test(text)) throw new CorruptLayerError(`a pax header has the number ${JSON.stringify(text)}`);
  return safe(BigInt(text));
}

/**
 * Two's complement in all bits but the first, which marks the number as binary.
 * @see https://www.gnu.org/software/tar/manual/html_node/Extensions.html
 */
function parseBinary(field: Uint8Array): number {
  return safe(BigInt.asIntN(8 * field.length - 1, BigInt(`0x${Buffer.from(field).toString('hex')}`)));
}

function safe(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new CorruptLayerError(`a tar header has the number ${value}`);
  return number;
}
