import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';

/**
 * A number of a tar header: octal digits between blanks and NULs, none for 0, or big-endian binary with the top bit set.
 * @throws CorruptLayerError also if it is beyond 2^53, which no real one is
 */
export function parseNumber(field: Uint8Array): number {
  const [first = 0] = field;
  if (first & 0x80) return parseBinary(field);
  const text = Buffer.from(field).toString('latin1');
  const [, digits] = /^[ \0]*([0-7]*)[ \0]*$/.exec(text) ?? [];
  if (digits === undefined) throw new CorruptLayerError(`a tar header has the number ${JSON.stringify(text)}`);
  return safe(BigInt(`0o${digits || '0'}`));
}

/** @throws CorruptLayerError */
export function parseDecimal(text: string): number {
  if (!/^-?[0-9]+$/.test(text)) throw new CorruptLayerError(`a pax header has the number ${JSON.stringify(text)}`);
  return safe(BigInt(text));
}

/** Two's complement in all bits but the first. @see https://www.gnu.org/software/tar/manual/html_node/Extensions.html */
function parseBinary(field: Uint8Array): number {
  return safe(BigInt.asIntN(8 * field.length - 1, BigInt(`0x${Buffer.from(field).toString('hex')}`)));
}

function safe(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new CorruptLayerError(`a tar header has the number ${value}`);
  return number;
}
