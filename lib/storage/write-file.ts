// Writes whole files and syncs directories by descriptors: for small files, file handles take as much time as the system calls.
import { type BigIntStats, close, fstat, fsync, futimes, open, write } from 'node:fs';

const openFile = (path: string, flags: string) => promised<number>((done) => open(path, flags, done));
const closeFile = (file: number) => promised<void>((done) => close(file, done));
const writeAt = (file: number, bytes: Uint8Array, start: number) =>
  promised<number>((done) => write(file, bytes, start, bytes.length - start, start, done));
const setTimes = (file: number, seconds: number) => promised<void>((done) => futimes(file, seconds, seconds, done));
const syncFile = (file: number) => promised<void>((done) => fsync(file, done));
const statOpen = (file: number) => promised<BigIntStats>((done) => fstat(file, { bigint: true }, done));

/**
 * Writes a new file, gives it a time, and syncs it.
 * @param seconds Unix time
 * @throws as `open` and `write` do; then part of the file may be there
 */
export async function writeWholeFile(path: string, bytes: Uint8Array, seconds: number): Promise<BigIntStats> {
  return await withFile(path, 'wx', async (file) => {
    for (let start = 0; start < bytes.length; ) start += await writeAt(file, bytes, start);
    await setTimes(file, seconds);
    await syncFile(file);
    return await statOpen(file);
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

/** `promisify` would keep the function as it is when this module loads; tests replace functions of `node:fs` later. */
function promised<T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
}
