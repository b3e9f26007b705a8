// Keys in the order of S3, found directory by directory. The order of full keys is the order of names within each directory
// once a folder's name ends in `/`: `a-b`, `a.b`, `a/…`, `a0`.
import type { Dirent } from 'node:fs';
import { opendir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compareByteOrder } from './byte-order.ts';
import { isAbsence } from './file-errors.ts';
import { TEMPORARY_FOLDER } from './file-keys.ts';

/** A directory and the beginning of the keys in it: '' for the root, else ending in `/`. */
export type Folder = { path: string; key: string };

/** How many folders are looked into together. */
const LOOKS_AT_ONCE = 64;

type Entry = { name: string; isFolder: boolean };

/** Every file whose key starts with `folder.key + namePrefix` and comes after `after`. Holds the names of one directory per level. */
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

/** The folders directly in `folder` that hold an object at any depth, each with its final `/`. */
export async function* walkFolders(folder: Folder, after: string | undefined): AsyncGenerator<string> {
  const names = (await sortedEntries(folder)).flatMap(({ name, isFolder }) => {
    const isWanted = isFolder && (after === undefined || compareByteOrder(folder.key + name, after) > 0);
    return isWanted ? [name] : [];
  });
  for (let start = 0; start < names.length; start += LOOKS_AT_ONCE) {
    const some = names.slice(start, start + LOOKS_AT_ONCE);
    const held = await Promise.all(some.map((name) => holdsFile(join(folder.path, name))));
    for (const [index, name] of some.entries()) if (held[index]) yield folder.key + name;
  }
}

/** Names of folders end in `/`. */
async function sortedEntries(folder: Folder): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const entry of await direntsOf(folder.path)) {
    if (folder.key === '' && entry.name === TEMPORARY_FOLDER) continue;
    const isFolder = await leadsToFolder(folder.path, entry);
    entries.push({ name: isFolder ? `${entry.name}/` : entry.name, isFolder });
  }
  return entries.sort((a, b) => compareByteOrder(a.name, b.name));
}

/** An operator may have moved a folder to another disk and left a symbolic link. */
async function leadsToFolder(directory: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return (await stat(join(directory, entry.name))).isDirectory();
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

async function direntsOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

/** A put that failed, or one that is under way, may leave a folder that S3 would not show. */
async function holdsFile(path: string): Promise<boolean> {
  try {
    for await (const entry of await opendir(path)) {
      if (!(await leadsToFolder(path, entry)) || (await holdsFile(join(path, entry.name)))) return true;
    }
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  return false;
}
