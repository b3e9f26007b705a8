// Durable writes: a file is written under a temporary name and synced, then linked or renamed to its name, and the directory is
// synced. So no reader ever sees half a file, not even after a power failure, and readers of the old file keep it.
import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { constants, copyFile, type FileHandle, link, mkdir, open, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '../model/has-code.ts';
import type { ETag } from './driver.ts';
import { ifPresent } from './file-errors.ts';
import { writeBody } from './file-writer.ts';
import { syncNames, writeWholeFile } from './write-file.ts';

export type WrittenFile = { path: string; etag: ETag };

/** How often a file is placed again after deletes in other processes have removed its empty folder. */
export const PLACING_ATTEMPTS = 100;

/**
 * Writes a file with a random name in `directory`, and syncs it. If it throws, no file is left.
 * @param giveBack is called with each chunk of the body that is written
 */
export async function writeTemporaryFile(
  directory: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  giveBack?: (chunk: Uint8Array) => void,
): Promise<WrittenFile> {
  const path = join(directory, randomUUID());
  try {
    if (body instanceof Uint8Array) return { path, etag: etagOf(await writeWholeFile(path, body, uniqueSeconds())) };
    const handle = await open(path, 'wx');
    try {
      await writeBody(handle, body, giveBack);
      return { path, etag: await sealFile(handle) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** As `writeTemporaryFile`, with the bytes of another file. The kernel copies them. */
export async function copyToTemporaryFile(directory: string, source: string): Promise<WrittenFile> {
  const path = join(directory, randomUUID());
  try {
    await copyFile(source, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const handle = await open(path, 'r+');
    try {
      return { path, etag: await sealFile(handle) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Gives a written file its ETag, and syncs it. */
export async function sealFile(handle: FileHandle): Promise<ETag> {
  const seconds = uniqueSeconds();
  await handle.utimes(seconds, seconds);
  await handle.sync();
  return etagOf(await handle.stat({ bigint: true }));
}

/**
 * Inode, modification time and size, so that no bytes are read. An inode is used again once its file is deleted, and the
 * kernel's clock ticks every few milliseconds; therefore `sealFile` gives each file of this process a time of its own. Two
 * processes that get the same inode within one millisecond each add a random part of a millisecond.
 */
export function etagOf(stats: BigIntStats): ETag {
  return `${stats.ino.toString(16)}-${stats.mtimeNs.toString(16)}-${stats.size.toString(16)}` as ETag;
}

let lastMicroseconds = 0;

/** Times are at least two microseconds apart, since seconds in floating point are off by up to half of one. */
function uniqueSeconds(): number {
  lastMicroseconds = Math.max(Date.now() * 1000 + Math.floor(Math.random() * 1000), lastMicroseconds + 2);
  return lastMicroseconds / 1e6;
}

/**
 * Adds the name `to` to a file, and makes the folder of `to` if it is missing. False if there is a file at `to`.
 * @param check is called last, and throws if the name must not be added any more
 */
export async function linkFile(from: string, to: string, check: () => void = () => {}): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    let changed: string[] = [];
    try {
      changed = await makeDirectories(dirname(to));
      check();
      await link(from, to);
      changed.push(dirname(to));
      return true;
    } catch (error) {
      // A delete has removed the empty folder between the two steps.
      if (hasCode(error, 'ENOENT') && attempt < PLACING_ATTEMPTS && (await exists(from))) continue;
      if (!hasCode(error, 'EEXIST')) throw error;
      if (await isDirectory(to)) throw nameTaken(to, error);
      return false;
    } finally {
      // Also after an error: the next file in a new directory finds it there, and does not sync those above it.
      await Promise.all(changed.map(syncDirectory));
    }
  }
}

export function nameTaken(path: string, cause: unknown): Error {
  return new Error(`${path}: on disk a key cannot be both an object and a folder`, { cause });
}

/** Removes the folders that are empty once the file at `path` is deleted, upwards to `root`, which stays. */
export async function removeEmptyFolders(path: string, root: string): Promise<void> {
  let directory = dirname(path);
  while (directory !== root && (await removeIfEmpty(directory))) directory = dirname(directory);
  await syncDirectory(directory);
}

async function removeIfEmpty(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    // ENOENT: another delete has removed it. After any other error the folder stays; listings leave out empty folders.
    return hasCode(error, 'ENOENT');
  }
}

/** Whether there is a file or folder at `path`. */
export async function exists(path: string): Promise<boolean> {
  return (await ifPresent(stat(path))) !== undefined;
}

/** Follows symbolic links. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await ifPresent(stat(path)))?.isDirectory() ?? false;
}

/** Makes a directory and those above it, and syncs them. */
export async function makeDirectory(directory: string): Promise<void> {
  await Promise.all((await makeDirectories(directory)).map(syncDirectory));
}

/** Makes a directory and those above it. @returns the directories to sync, which are those above each new one */
async function makeDirectories(directory: string): Promise<string[]> {
  const firstMade = await mkdirWithRetries(directory);
  if (firstMade === undefined) return [];
  const top = dirname(firstMade);
  const changed: string[] = [];
  for (let made = directory; made.length > top.length; made = dirname(made)) changed.push(dirname(made));
  return changed;
}

/** `mkdir` also fails with EEXIST or ENOTDIR if a delete removes a directory that it has just found: then it is called again. */
async function mkdirWithRetries(directory: string): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await mkdir(directory, { recursive: true });
    } catch (error) {
      if (!hasCode(error, 'EEXIST', 'ENOTDIR')) throw error;
      if (attempt === PLACING_ATTEMPTS || (await isAtOrBelowFile(directory))) throw nameTaken(directory, error);
    }
  }
}

async function isAtOrBelowFile(path: string): Promise<boolean> {
  const stats = await ifPresent(stat(path));
  return stats ? !stats.isDirectory() : await isAtOrBelowFile(dirname(path));
}

export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return; // Windows cannot open a directory, and NTFS journals names
  try {
    await syncNames(directory);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // removed meanwhile, and the remover syncs the directory above
  }
}
