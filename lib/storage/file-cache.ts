// Small files that were read before, such as tags. A file is not read again while its stats are the same, so it costs one system
// call instead of four, each of which would go to a thread and back.
import { type BigIntStats, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { LruCache } from '../model/lru-cache.ts';
import { KiB, MiB } from '../streams/bytes.ts';
import type { ReadObject } from './driver.ts';

const MAX_BYTES = 4 * MiB;
const MAX_FILE_BYTES = 16 * KiB;
/** What an entry takes up beside the bytes of its file. */
const ENTRY_BYTES = KiB;

/**
 * Types of file systems on disks and in memory of this machine: ext2 to ext4, XFS, Btrfs, ZFS, F2FS, bcachefs, tmpfs, overlayfs.
 * https://man7.org/linux/man-pages/man2/statfs.2.html
 */
const LOCAL = [0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0xca451a4e, 0x01021994, 0x794c7630];

/**
 * Whether the kernel has the stats of a file that was used shortly before in memory, so that `stat` does not wait for a network or
 * for another process.
 */
export async function isOnLocalDisk(directory: string): Promise<boolean> {
  return process.platform === 'linux' && LOCAL.includes((await statfs(directory)).type);
}

type CachedFile = { stats: BigIntStats; object: ReadObject };

/** For directories where `isOnLocalDisk`: looking up a file blocks this thread for a few microseconds. */
export class FileCache {
  readonly #files = new LruCache<string, CachedFile>({
    maxBytes: MAX_BYTES,
    bytesOf: ({ object }) => object.bytes.length + ENTRY_BYTES,
  });

  /** The file, as it is now; `undefined` if it has to be read. */
  find(path: string): ReadObject | undefined {
    const cached = this.#files.get(path);
    if (!cached) return undefined;
    const stats = statNow(path);
    if (stats && isSame(stats, cached.stats)) return cached.object;
    this.#files.delete(path);
    return undefined;
  }

  /** @param file as it was read, with its stats at that time */
  keep(path: string, file: CachedFile): void {
    if (file.object.bytes.length <= MAX_FILE_BYTES) this.#files.set(path, file);
  }
}

function statNow(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined; // reading the file gives the error
  }
}

function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.size === b.size && a.dev === b.dev;
}
