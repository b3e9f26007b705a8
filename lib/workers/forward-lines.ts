import type { Readable, Writable } from 'node:stream';

const NEWLINE = 0x0a;

/** Writes what `from` holds to `to` in whole lines. A line that `from` does not end, as a killed process, is ended here. */
export function forwardLines(from: Readable, to: Writable): void {
  let rest: Buffer[] = [];
  from.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      rest.push(chunk);
      return;
    }
    to.write(Buffer.concat([...rest, chunk.subarray(0, end)]));
    rest = end === chunk.length ? [] : [chunk.subarray(end)];
  });
  from.on('end', () => {
    if (rest.length > 0) to.write(Buffer.concat([...rest, Buffer.of(NEWLINE)]));
  });
}
