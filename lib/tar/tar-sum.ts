// TarSum: a checksum over an image's JSON and the files of its layer, independent of the compression and the order of the tar.
// Docker before 0.10 sends no other checksum. Source: pkg/tarsum/tarsum_spec.md of Docker 1.9.1.
import { createHash } from 'node:crypto';
import type { UnpackLimits } from '../compression/unpack-limits.ts';
import { decompressLayer } from './decompress-layer.ts';
import type { TarHeader } from './header.ts';
import { readTar, type TarEntry } from './read-tar.ts';

/** `dev` is version 1 with another label. A v1 push uses 0. */
export type TarSumVersion = 0 | 1 | 'dev';

const LABELS: Record<TarSumVersion, string> = { 0: 'tarsum', 1: 'tarsum.v1', dev: 'tarsum.dev' };

type FileSum = { path: string; hex: string };

/**
 * Computes the TarSum of an image. Memory: 64 digits and a path for each file of the layer.
 * @param json the bytes of the image's `json`; empty if there is none
 * @param layer a tar in any compression, as the client sent it; may be empty
 * @returns `tarsum+sha256:` (or `tarsum.v1+…`, `tarsum.dev+…`) and 64 hex digits
 * @throws CorruptLayerError; any error of the stream
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

/** A sparse file counts with its data as stored: Go's tar reader, by which Docker computed these sums, did not expand it. */
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
 * Sorts by sum, but keeps entries of the same path in the order of the tar, as Docker 1.3 and later do. This is not a total
 * order when other entries lie between them; Docker's own result then depends on Go's sort algorithm.
 */
function inOrder(sums: readonly FileSum[]): FileSum[] {
  return sums.toSorted((a, b) => {
    if (a.path === b.path) return 0;
    return a.hex < b.hex ? -1 : 1;
  });
}
