// Turns keys into paths below the root, and only below it.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ifPresent } from './file-errors.ts';

/** Holds files that are being written, unfinished uploads and locks. No key begins with it. */
export const TEMPORARY_FOLDER = '.tmp';

/** The longest file name on common file systems. */
const MAX_PART_BYTES = 255;

/**
 * Splits a key. The layout makes keys of parsed names, so the check is a second line of defence against path traversal.
 * @throws Error if the path of `key` could be outside the root, or that of another key
 */
export function partsOfKey(key: string): string[] {
  const parts = key.split('/');
  if (!key.isWellFormed() || parts.some(isUnsafe) || parts[0]?.toLowerCase() === TEMPORARY_FOLDER) {
    throw new Error(`the key ${JSON.stringify(key)} cannot be stored as a file`);
  }
  return parts;
}

function isUnsafe(part: string): boolean {
  if (part === '' || part === '.' || part === '..' || part.includes('\0')) return true;
  if (process.platform === 'win32' && /[\\:]/.test(part)) return true;
  return Buffer.byteLength(part) > MAX_PART_BYTES;
}

/** Whether the file of a key exists: under the same name, only in another case (as another key's file), or not at all. */
export type Spelling = 'same' | 'other' | 'absent';

/**
 * For file systems that ignore case: those of macOS and Windows. Reads a directory for each part of the key, as `stat` and
 * `realpath` do not report the stored case on every file system (shares of Docker Desktop).
 */
export async function spellingOnDisk(root: string, parts: readonly string[]): Promise<Spelling> {
  let directory = root;
  for (const part of parts) {
    const names = (await ifPresent(readdir(directory))) ?? [];
    if (!names.includes(part)) return names.some((name) => fold(name) === fold(part)) ? 'other' : 'absent';
    directory = join(directory, part);
  }
  return 'same';
}

/** Equal for keys that a file system without case does not distinguish. macOS ignores the Unicode normal form too. */
export function fold(key: string): string {
  return key.normalize('NFC').toLowerCase();
}
