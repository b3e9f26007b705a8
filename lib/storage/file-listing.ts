// Lists keys in the order of S3, directory by directory. Sorting the names of each directory gives the order of whole keys if
// the names of folders end in `/`: `a-b`, `a.b`, `a/…`, `a0`.
import type { Dirent } from 'node:fs';
import { opendir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { compareByteOrder } from './byte-order.ts';
import { isDirectory } from './durable-files.ts';
import { ifPresent, isAbsence } from './file-errors.ts';
import { TEMPORARY_FOLDER } from './file-keys.ts';

/** A directory, and the beginning of the keys in it: '' for the root, otherwise ending in `/`. */
export type Folder = { path: string; key: string };

/** How many folders are searched for a file at once. */
const SEARCHES_AT_ONCE = 64;

type Entry = { name: string; isFolder: boolean };

/** The keys that start with `folder.key + namePrefix` and come after `after`. Holds one directory's names per level in memory. */
export async function* walkFiles(
  folder: Folder,
  namePrefix: string,
  after: string | undefined,
): AsyncGenerator<string> {
  for (const { name, isFolder } of await sortedEntries(folder)) {
    if (!name.startsWith(namePrefix)) continue;
    const key = folder.key + name;
    if (!isFolder) {
      if (after === undefined || compareByteOrder(key, after) > 0) yield key;
    } else if (after === undefined || after.startsWith(key) || compareByteOrder(key, after) > 0) {
      yield* walkFiles({ path: join(folder.path, name), key }, '', after);
    }
  }
}

/** The folders directly in `folder` that contain an object at any depth, each with its final `/`. */
export async function* walkFolders(folder: Folder, after: string | undefined): AsyncGenerator<string> {
  const folders = (await sortedEntries(folder)).filter(
    ({ name, isFolder }) => isFolder && (after === undefined || compareByteOrder(folder.key + name, after) > 0),
  );
  for (let start = 0; start < folders.length; start += SEARCHES_AT_ONCE) {
    const some = folders.slice(start, start + SEARCHES_AT_ONCE);
    const found = await Promise.all(some.map(({ name }) => containsFile(join(folder.path, name))));
    for (const [index, { name }] of some.entries()) if (found[index]) yield folder.key + name;
  }
}

/** The names of folders end in `/`. */
async function sortedEntries(folder: Folder): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const entry of (await ifPresent(readdir(folder.path, { withFileTypes: true }))) ?? []) {
    if (folder.key === '' && entry.name === TEMPORARY_FOLDER) continue;
    const isFolder = await isFolderEntry(folder.path, entry);
    entries.push({ name: isFolder ? `${entry.name}/` : entry.name, isFolder });
  }
  return entries.sort((a, b) => compareByteOrder(a.name, b.name));
}

/** An operator may have moved a folder to another disk and left a symbolic link to it. */
async function isFolderEntry(directory: string, entry: Dirent): Promise<boolean> {
  return entry.isSymbolicLink() ? await isDirectory(join(directory, entry.name)) : entry.isDirectory();
}

/** A put that is under way or has failed may leave an empty folder, which S3 does not have. */
async function containsFile(path: string): Promise<boolean> {
  try {
    for await (const entry of await opendir(path)) {
      if (!(await isFolderEntry(path, entry)) || (await containsFile(join(path, entry.name)))) return true;
    }
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  return false;
}
