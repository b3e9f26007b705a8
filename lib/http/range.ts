import type { ByteRange } from '../storage/driver.ts';

/**
 * What a `Range` header asks for, cut to the content. `undefined` if the whole should be sent: no header, another unit,
 * several ranges, or nonsense. `'unsatisfiable'` deserves a 416.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  const [, first, last] = match ?? [];
  if (!match || (first === '' && last === '')) return undefined;
  if (first === '') {
    const suffixBytes = Number(last);
    if (suffixBytes === 0 || sizeBytes === 0) return 'unsatisfiable';
    return { start: Math.max(0, sizeBytes - suffixBytes), end: sizeBytes - 1 };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  // `500-0` is invalid by the RFC, which lets us choose; 416 tells the client more than the whole content would.
  return start > end ? 'unsatisfiable' : { start, end };
}

/** How many bytes are sent of an object of this size. */
export function lengthOf(range: ByteRange | undefined, sizeBytes: number): number {
  return range ? range.end - range.start + 1 : sizeBytes;
}

/** `Content-Range` of an upload's chunk: `0-999`, by some clients `bytes 0-999/*`. `undefined` if it is neither. */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(header.trim());
  if (!match) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  return Number.isSafeInteger(end) && start <= end ? { start, end } : undefined;
}
