import { parseOctal } from './numbers.ts';

export const BLOCK_BYTES = 512;

const SUM_AT = 148;
const SUM_BYTES = 8;
const BLANK = 0x20;

/** Whether the checksum of a tar header is right, over unsigned bytes or, as Sun's tar wrote it, over signed ones. */
export function hasValidChecksum(block: Uint8Array): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const sum = parseOctal(block, SUM_AT, SUM_AT + SUM_BYTES);
  if (sum === undefined) return false;
  let unsigned = SUM_BYTES * BLANK;
  let negative = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    if (at === SUM_AT) at += SUM_BYTES;
    const byte = block[at] as number;
    unsigned += byte;
    if (byte >= 0x80) negative++;
  }
  return sum === unsigned || sum === unsigned - 0x100 * negative;
}
