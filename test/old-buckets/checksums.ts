import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';

const BLOCK_BYTES = 512;

/** The payload sum: SHA-256 over the JSON, a newline and the stored layer. */
export function simpleSum(json: Uint8Array, layer: Uint8Array): string {
  return `sha256:${createHash('sha256').update(json).update('\n').update(layer).digest('hex')}`;
}

/**
 * TarSum version 0, which every Docker sent as `X-Docker-Checksum` and docker-registry 0.6.5 stored.
 * @param layer gzip or plain tar, with or without the two zero blocks at its end, with ustar headers only
 * @see https://github.com/moby/moby/blob/v1.9.1/pkg/tarsum/tarsum_spec.md
 */
export function tarSum(json: Uint8Array, layer: Uint8Array): string {
  const isGzip = layer[0] === 0x1f && layer[1] === 0x8b;
  const sums = [...entriesOf(isGzip ? gunzipSync(layer) : Buffer.from(layer))].map(entrySum).sort();
  const sum = createHash('sha256').update(json).update(sums.join('')).digest('hex');
  return `tarsum+sha256:${sum}`;
}

type Entry = { header: Buffer; content: Buffer };

function* entriesOf(tar: Buffer): Generator<Entry> {
  for (let start = 0; start < tar.length; ) {
    const header = tar.subarray(start, start + BLOCK_BYTES);
    if (header.every((byte) => byte === 0)) return;
    if (textAt(header, 257, 5) !== 'ustar') throw new Error(`no ustar header at byte ${start}`);
    if ('xgLK'.includes(typeOf(header))) throw new Error('pax and GNU records are not supported');
    const sizeBytes = numberAt(header, 124, 12);
    const contentStart = start + BLOCK_BYTES;
    if (contentStart + sizeBytes > tar.length) throw new Error('the tar ends within a file');
    yield { header, content: tar.subarray(contentStart, contentStart + sizeBytes) };
    start = contentStart + Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
}

function entrySum({ header, content }: Entry): string {
  const prefix = textAt(header, 345, 155);
  const isDevice = typeOf(header) === '3' || typeOf(header) === '4';
  const fields = {
    name: `${prefix === '' ? '' : `${prefix}/`}${textAt(header, 0, 100)}`,
    mode: numberAt(header, 100, 8),
    uid: numberAt(header, 108, 8),
    gid: numberAt(header, 116, 8),
    size: content.length,
    mtime: numberAt(header, 136, 12),
    typeflag: typeOf(header),
    linkname: textAt(header, 157, 100),
    uname: textAt(header, 265, 32),
    gname: textAt(header, 297, 32),
    devmajor: isDevice ? numberAt(header, 329, 8) : 0,
    devminor: isDevice ? numberAt(header, 337, 8) : 0,
  };
  const hash = createHash('sha256');
  for (const [name, value] of Object.entries(fields)) hash.update(`${name}${value}`);
  return hash.update(content).digest('hex');
}

function typeOf(header: Buffer): string {
  return header.toString('latin1', 156, 157);
}

function textAt(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return (end < 0 ? field : field.subarray(0, end)).toString('utf8');
}

function numberAt(header: Buffer, start: number, length: number): number {
  return Number.parseInt(textAt(header, start, length).trim() || '0', 8);
}
