// Reads whole small files by callbacks: 20,000 tags take a quarter of the time that promises and file handles need.
import { type BigIntStats, close, fstat, open, read, stat } from 'node:fs';

export type WholeFile = { stats: BigIntStats; bytes: Buffer<ArrayBuffer> };

/** @throws as `stat` does */
export async function statFile(path: string): Promise<BigIntStats> {
  return await new Promise((resolve, reject) => {
    stat(path, { bigint: true }, (error, stats) => (error ? reject(error) : resolve(stats)));
  });
}

/** Reads a regular file. For anything else, such as a directory, gives its stats alone. @throws as `open` does */
export async function readWholeFile(path: string): Promise<WholeFile | { stats: BigIntStats }> {
  return await new Promise((resolve, reject) => {
    open(path, 'r', (openError, file) => {
      if (openError) return reject(openError);
      const settle = (error: Error | null, whole?: WholeFile | { stats: BigIntStats }) => {
        close(file, (closeError) => {
          const failure = error ?? closeError;
          if (failure || !whole) reject(failure ?? new Error(`${path}: nothing was read`));
          else resolve(whole);
        });
      };
      fstat(file, { bigint: true }, (statError, stats) => {
        if (statError) return settle(statError);
        if (!stats.isFile()) return settle(null, { stats });
        readBytes(file, Number(stats.size), (error, bytes) => settle(error, bytes && { stats, bytes }));
      });
    });
  });
}

type Done = (error: Error | null, bytes?: Buffer<ArrayBuffer>) => void;

/** A file does not change once it has its name, so its size is final. */
function readBytes(file: number, sizeBytes: number, done: Done): void {
  const bytes = Buffer.alloc(sizeBytes);
  const readFrom = (start: number): void => {
    if (start === sizeBytes) done(null, bytes);
    else
      read(file, bytes, start, sizeBytes - start, start, (error, count) => {
        if (error) done(error);
        else if (count === 0) done(null, bytes.subarray(0, start));
        else readFrom(start + count);
      });
  };
  readFrom(0);
}
