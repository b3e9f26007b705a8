export const BLOCK_BYTES = 512;

const SUM_AT = 148;
const SUM_BYTES = 8;
const BLANK = 0x20;

/** Whether a block can be the header of an entry: its sum is right, over unsigned bytes or, as Sun's tar had it, signed. */
export function hasValidChecksum(block: Uint8Array): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const field = Buffer.from(block.subarray(SUM_AT, SUM_AT + SUM_BYTES)).toString('latin1');
  const [, digits] = /^[ \0]*([0-7]+)[ \0]*$/.exec(field) ?? [];
  if (digits === undefined) return false;
  let unsigned = SUM_BYTES * BLANK;
  let signed = unsigned;
  block.forEach((byte, index) => {
    if (index >= SUM_AT && index < SUM_AT + SUM_BYTES) return;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  });
  const sum = Number.parseInt(digits, 8);
  return sum === unsigned || sum === signed;
}
