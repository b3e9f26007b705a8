import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import type { LayerFormat } from '../../lib/compression/layer-format.ts';

const text = Buffer.from(Array.from({ length: 300 }, (_, index) => `line ${index}\n`).join(''));
const runLengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 254, 255, 256, 257, 258, 259, 260, 261, 600, 1000];
const runs = Buffer.concat(runLengths.map((length) => Buffer.alloc(length, 65 + (length % 26))));
const allBytes = Buffer.from(Array.from({ length: 3 * 256 }, (_, index) => index % 256));

function noise(sizeBytes: number): Buffer {
  const digests: Buffer[] = [];
  for (let digest = Buffer.from('stowage'); digests.length * 32 < sizeBytes; ) {
    digest = createHash('sha256').update(digest).digest();
    digests.push(digest);
  }
  return Buffer.concat(digests).subarray(0, sizeBytes);
}

function fixture(file: string): Buffer {
  return readFileSync(new URL(`fixtures/${file}`, import.meta.url));
}

type Sample = { title: string; format: LayerFormat; packed: Buffer; content: Buffer };

const sample = (title: string, format: LayerFormat, packed: Buffer, content: Buffer): Sample => ({
  title: `${format}: ${title}`,
  format,
  packed,
  content,
});

const withSum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };

/** Samples small enough to try every byte. The files were made with Python's bz2 and lzma, and xz 5.4.1. */
export const samples: Sample[] = [
  sample('text', 'gzip', gzipSync(text), text),
  sample('two members', 'gzip', Buffer.concat([gzipSync(text), gzipSync(runs)]), Buffer.concat([text, runs])),
  sample('text', 'zstd', zstdCompressSync(text, withSum), text),
  sample('text', 'bzip2', fixture('text.bz2'), text),
  sample('nothing', 'bzip2', fixture('empty.bz2'), Buffer.alloc(0)),
  sample('runs of all lengths', 'bzip2', fixture('runs.bz2'), runs),
  sample('all bytes', 'bzip2', fixture('all-bytes.bz2'), allBytes),
  sample('noise', 'bzip2', fixture('noise.bz2'), noise(600)),
  sample('text', 'xz', fixture('text.xz'), text),
  sample('nothing', 'xz', fixture('empty.xz'), Buffer.alloc(0)),
  sample('runs of all lengths', 'xz', fixture('runs.xz'), runs),
  sample('noise, stored as it is', 'xz', fixture('noise.xz'), noise(600)),
  sample('CRC-32', 'xz', fixture('crc32.xz'), text),
  sample('other properties', 'xz', fixture('properties.xz'), text),
  sample('three blocks', 'xz', fixture('blocks.xz'), text),
];

/** Samples that are too large for that, or have bytes that no checksum covers. */
export const furtherSamples: Sample[] = [
  sample('seven blocks of level 1', 'bzip2', fixture('blocks.bz2'), Buffer.concat(Array<Buffer>(120).fill(text))),
  sample('three streams', 'bzip2', fixture('streams.bz2'), Buffer.concat([text, runs])),
  sample('100 MiB of zeros', 'bzip2', fixture('zeros.bz2'), Buffer.alloc(100 * 1024 * 1024)),
  sample('no check', 'xz', fixture('no-check.xz'), text),
  sample('three streams with padding', 'xz', fixture('streams.xz'), Buffer.concat([text, runs])),
  sample(
    '16 MiB with a dictionary of 4 KiB',
    'xz',
    fixture('small-dictionary.xz'),
    repeated(text, 16 * 1024 * 1024 + 12345),
  ),
];

export const unsupported: Pick<Sample, 'title' | 'format' | 'packed'>[] = [
  { title: 'xz: the x86 filter', format: 'xz', packed: fixture('x86-filter.xz') },
  { title: 'xz: a dictionary of 128 MiB', format: 'xz', packed: fixture('large-dictionary.xz') },
];

function repeated(bytes: Buffer, sizeBytes: number): Buffer {
  return Buffer.alloc(sizeBytes, bytes);
}
