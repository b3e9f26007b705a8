// How bytes reach the disk: written aside, synced, then linked or renamed into place, and the directory synced. So a name
// never shows half a file, not even after a power failure, and readers of the old file keep it.
import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, link, mkdir, open, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '../model/has-code.ts';
import type { ETag } from './driver.ts';
import { isAbsence } from './file-errors.ts';

export type WrittenFile = { path: string; etag: ETag };

/** How often a file is tried again to be placed when others remove its folder at the same moment. */
export const PLACING_ATTEMPTS = 100;

/** Writes a file of a random name in `directory`, synced. Leaves nothing behind if it throws. */
export async function writeAside(
  directory: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<WrittenFile> {
  const path = join(directory, randomUUID());
  const handle = await open(path, 'wx');
  try {
    await handle.writeFile(body);
    return { path, etag: await sealFile(handle) };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** Syncs what was written and gives it its ETag. */
export async function sealFile(handle: FileHandle): Promise<ETag> {
  const seconds = uniqueMicroseconds() / 1e6;
  await handle.utimes(seconds, seconds);
  await handle.sync();
  return etagOf(await handle.stat({ bigint: true }));
}

/**
 * Inode, time and size; no reading. The inode alone comes back when an object is replaced twice, and the kernel's clock
 * ticks every few milliseconds: so each file is given a time that no other of this process had. Of two processes that are
 * given one inode within a millisecond, one after the other, each adds a random part of that millisecond.
 */
export function etagOf(stats: BigIntStats): ETag {
  return `${stats.ino.toString(16)}-${stats.mtimeNs.toString(16)}-${stats.size.toString(16)}` as ETag;
}

let lastMicroseconds = 0;

/** Two apart, as the way through seconds in floating point costs half of one. */
function uniqueMicroseconds(): number {
  lastMicroseconds = Math.max(Date.now() * 1000 + Math.floor(Math.random() * 1000), lastMicroseconds + 2);
  return lastMicroseconds;
}

/** Gives the file a name at `to`, whose folder is made if need be; false if something is there already. Its old name stays. */
export async function linkFile(from: string, to: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeDirectory(dirname(to));
      await link(from, to);
      await syncDirectory(dirname(to));
      return true;
    } catch (error) {
      // A delete has removed the folder, which was empty, between the two steps.
      if (hasCode(error, 'ENOENT') && attempt < PLACING_ATTEMPTS && (await exists(from))) continue;
      if (!hasCode(error, 'EEXIST')) throw error;
      if (await isDirectory(to)) throw nameTaken(to, error);
      return false;
    }
  }
}

export function nameTaken(path: string, cause: unknown): Error {
  return new Error(`${path}: on disk nothing can be both an object and a folder`, { cause });
}

/** Removes the folders from that of a file which is gone up to `root` that are empty: a folder is there only as long as objects are in it. */
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
    if (hasCode(error, 'ENOENT')) return true; // another delete was faster
    // Whatever else stands in the way, the delete itself is done, and listings leave out empty folders anyway.
    return false;
  }
}

/** Whether there is a file or folder of this name. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

export async function makeDirectory(directory: string): Promise<void> {
  const firstMade = await mkdirPatiently(directory);
  if (firstMade === undefined) return;
  // Each new folder is a name in the one above, which has to reach the disk too.
  const top = dirname(firstMade);
  for (let made = directory; made.length > top.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** Node says EEXIST or ENOTDIR also when a delete has removed a folder that it had just found. */
async function mkdirPatiently(directory: string): Promise<string | undefined> {
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
  try {
    return !(await stat(path)).isDirectory();
  } catch (error) {
    if (isAbsence(error)) return await isAtOrBelowFile(dirname(path));
    throw error;
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return; // cannot open a directory; NTFS journals names by itself
  try {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // removed since: whoever did it syncs the one above
  }
}
