import type { ByteRange } from '../storage/driver.ts';

/**
 * The range of a `Range` header, cut to the content.
 * @returns `undefined` to send the whole: no header, another unit, several ranges, or invalid; `'unsatisfiable'` for a 416
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
  // The RFC leaves the answer to an invalid range such as `500-0` to the server.
  return start > end ? 'unsatisfiable' : { start, end };
}

/** Bytes of the range, or of the whole object. */
export function lengthOf(range: ByteRange | undefined, sizeBytes: number): number {
  return range ? range.end - range.start + 1 : sizeBytes;
}

/** `Content-Range` of a chunk: `0-999`, or as some clients send it `bytes 0-999/*`. `undefined` for any other form. */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(header.trim());
  if (!match) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  return Number.isSafeInteger(end) && start <= end ? { start, end } : undefined;
}
