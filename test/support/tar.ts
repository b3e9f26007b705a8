/** A file of a layer: `content` is absent for a directory. */
export interface TarEntry {
  path: string;
  content?: Uint8Array;
  mode?: number;
}

const BLOCK_BYTES = 512;

/** A ustar archive as plain as can be: everything is root's and from 1970, so equal entries make equal bytes. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, content, mode = content === undefined ? 0o755 : 0o644 }) => {
    const body = content ?? Buffer.alloc(0);
    const padding = Buffer.alloc((BLOCK_BYTES - (body.length % BLOCK_BYTES)) % BLOCK_BYTES);
    return [header(path, body.length, mode, content === undefined ? '5' : '0'), body, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

// https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
function header(path: string, sizeBytes: number, mode: number, type: '0' | '5'): Buffer {
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(path, 0, 100);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(sizeBytes, 12), 124);
  block.write(octal(0, 12), 136);
  block.write('        ', 148); // the checksum, of a header whose checksum is blank
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  block.write(
    `${octal(
      block.reduce((sum, byte) => sum + byte),
      7,
    )} `,
    148,
  );
  return block;
}
