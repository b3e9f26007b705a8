// TarSum: a sum over an image's JSON and the files of its layer that stays the same however the tar is packed. Docker
// before 0.10 sent no other. Facts: docker's pkg/tarsum/tarsum_spec.md at v1.9.1.
import { createHash } from 'node:crypto';
import type { UnpackLimits } from '../compression/unpack-limits.ts';
import { decompressLayer } from './decompress-layer.ts';
import type { TarHeader } from './header.ts';
import { readTar, type TarEntry } from './read-tar.ts';

/** `dev` is 1 under another name. A v1 push sends 0. */
export type TarSumVersion = 0 | 1 | 'dev';

const LABELS: Record<TarSumVersion, string> = { 0: 'tarsum', 1: 'tarsum.v1', dev: 'tarsum.dev' };

type FileSum = { path: string; hex: string };

/**
 * Reads a layer once and keeps nothing of it but 64 digits and a path for each file.
 * @param json the bytes of the image's `json`; empty if there is none
 * @param layer as it was sent: a tar in any compression, or nothing at all
 * @returns `tarsum+sha256:` (or `tarsum.v1+…`, `tarsum.dev+…`) and 64 hex digits
 * @throws CorruptLayerError, and what the layer's stream throws
 */
export async function tarSum(
  json: Uint8Array,
  layer: AsyncIterable<Uint8Array>,
  version: TarSumVersion,
  limits?: UnpackLimits,
): Promise<string> {
  const sums: FileSum[] = [];
  for await (const entry of readTar(decompressLayer(layer, limits))) sums.push(await sumFile(entry, version));
  const hash = createHash('sha256').update(json);
  for (const { hex } of inOrder(sums)) hash.update(hex);
  return `${LABELS[version]}+sha256:${hash.digest('hex')}`;
}

async function sumFile(entry: TarEntry, version: TarSumVersion): Promise<FileSum> {
  const hash = createHash('sha256');
  for (const [field, value] of fieldsOf(entry, version)) hash.update(`${field}${value}`, 'latin1');
  for await (const chunk of entry.data) hash.update(chunk);
  return { path: entry.name.replace(/^\.\//, '').replace(/\/$/, ''), hex: hash.digest('hex') };
}

/** Sparse files count as they are stored, for that is how docker's Go read and sent them while these sums mattered. */
function fieldsOf(header: TarHeader, version: TarSumVersion): [field: string, value: string | number][] {
  return [
    ['name', header.name],
    ['mode', header.mode],
    ['uid', header.uid],
    ['gid', header.gid],
    ['size', header.sizeBytes],
    ...(version === 0 ? [['mtime', Math.trunc(header.mtimeSeconds)] as [string, number]] : []),
    ['typeflag', header.type],
    ['linkname', header.linkName],
    ['uname', header.userName],
    ['gname', header.groupName],
    ['devmajor', header.deviceMajor],
    ['devminor', header.deviceMinor],
    ...(version === 0 ? [] : sortedXattrs(header)),
  ];
}

function sortedXattrs({ xattrs }: TarHeader): [string, string][] {
  return [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * By sum, but entries of the same path as they come in the tar, as docker 1.3 and later have it. That is no total order
 * if something else lies between them, so that docker itself depends on how Go sorts.
 */
function inOrder(sums: readonly FileSum[]): FileSum[] {
  return sums.toSorted((a, b) => {
    if (a.path === b.path) return 0;
    return a.hex < b.hex ? -1 : 1;
  });
}
