// Writes whole files and syncs directories by descriptors: for small files, file handles take as much time as the system calls.
import { type BigIntStats, close, fstat, fsync, futimes, open, write } from 'node:fs';
import { promisify } from 'node:util';

const openFile = promisify(open);
const closeFile = promisify(close);
const writeAt = promisify(write);
const setTimes = promisify(futimes);
const syncFile = promisify(fsync);
const statOpen = promisify(fstat);

/**
 * Writes a new file, gives it a time, and syncs it.
 * @param seconds Unix time
 * @throws as `open` and `write` do; then part of the file may be there
 */
export async function writeWholeFile(path: string, bytes: Uint8Array, seconds: number): Promise<BigIntStats> {
  return await withFile(path, 'wx', async (file) => {
    for (let start = 0; start < bytes.length; ) {
      start += (await writeAt(file, bytes, start, bytes.length - start, start)).bytesWritten;
    }
    await setTimes(file, seconds, seconds);
    await syncFile(file);
    return await statOpen(file, { bigint: true });
  });
}

/** Syncs the names in a directory. @throws as `open` does */
export async function syncNames(directory: string): Promise<void> {
  await withFile(directory, 'r', syncFile);
}

async function withFile<T>(path: string, flags: string, use: (file: number) => Promise<T>): Promise<T> {
  const file = await openFile(path, flags);
  try {
    return await use(file);
  } finally {
    await closeFile(file);
  }
}
