import { createHash } from 'node:crypto';
import type { TarEntry } from '../support/tar.ts';
import { tar } from '../support/tar.ts';
import { BZIP2_LAYER, type CompressedTar, XZ_LAYER } from './compressed-tars.ts';
import { goGzip } from './go-gzip.ts';

/**
 * The program that wrote a layer, and its format. Docker up to 1.2 omitted the two zero blocks at the end of a tar, and 0.11 also
 * flushed gzip after each read; the layer of an image that changes no file is then an empty gzip stream. `none` is an empty
 * object. Plain tar, bzip2 and xz were pushed by other tools.
 */
export type LayerForm = 'docker-0.11' | 'docker-1.2' | 'docker-1.5' | 'tar' | 'bzip2' | 'xz' | 'none';

export type OldLayer = {
  form: LayerForm;
  /** The stored object. */
  bytes: Uint8Array;
  /** The decompressed object; its SHA-256 is the diff id. */
  tar: Uint8Array;
  entries: readonly TarEntry[];
};

/** The size of a read of 0.11. The real one was larger; this keeps the layers small. */
const READ_BYTES = 512;

const TRAILER_BYTES = 1024;

export function oldLayer(form: LayerForm, entries: readonly TarEntry[]): OldLayer {
  const closed = tar(entries);
  const open = closed.subarray(0, -TRAILER_BYTES);
  switch (form) {
    case 'docker-0.11':
      return { form, bytes: goGzip(readsOf(open), { flushes: true }), tar: open, entries };
    case 'docker-1.2':
      return { form, bytes: goGzip([open]), tar: open, entries };
    case 'docker-1.5':
      return { form, bytes: goGzip([closed]), tar: closed, entries };
    case 'tar':
      return { form, bytes: closed, tar: closed, entries };
    case 'bzip2':
      return { form, bytes: compressed(closed, BZIP2_LAYER), tar: closed, entries };
    case 'xz':
      return { form, bytes: compressed(closed, XZ_LAYER), tar: closed, entries };
    case 'none':
      return { form, bytes: Buffer.alloc(0), tar: Buffer.alloc(0), entries: [] };
  }
}

/** What an interrupted push leaves of a layer. */
export function firstHalf(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.length >> 1);
}

function readsOf(bytes: Uint8Array): Uint8Array[] {
  const count = Math.ceil(bytes.length / READ_BYTES);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * READ_BYTES, (index + 1) * READ_BYTES));
}

function compressed(closed: Uint8Array, { sha256, base64 }: CompressedTar): Uint8Array {
  const actual = createHash('sha256').update(closed).digest('hex');
  if (actual !== sha256)
    throw new Error(`the compressed tar is of SHA-256 ${sha256}; compress the layer ${actual} again`);
  return Buffer.from(base64, 'base64');
}
