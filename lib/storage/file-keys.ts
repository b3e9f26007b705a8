// From keys to paths below the root, and nowhere else.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../model/has-code.ts';

/** Where files are before they are whole. No key begins with it. */
export const TEMPORARY_FOLDER = '.tmp';

/** The longest name that every file system takes. */
const MAX_PART_BYTES = 255;

/**
 * Keys come from the layout, which is made of parsed names; this check stands behind it, should one ever slip through.
 * @throws Error if `key` could stand for another file than the one its parts name
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

/** How the file system spells a key: as asked for, in another case (so that it is another key's file), or not at all. */
export type Spelling = 'same' | 'other' | 'absent';

/**
 * Reads one directory for each part of the key: the only way that tells the truth on every file system, also on one that
 * another system shares (Docker Desktop). It is asked only where the file system ignores case, which servers' do not.
 */
export async function spellingOnDisk(root: string, parts: readonly string[]): Promise<Spelling> {
  let directory = root;
  for (const part of parts) {
    const names = await namesIn(directory);
    if (!names.includes(part)) return names.some((name) => fold(name) === fold(part)) ? 'other' : 'absent';
    directory = join(directory, part);
  }
  return 'same';
}

/** What keys have in common that a file system without case cannot tell apart; macOS ignores the Unicode form as well. */
export function fold(key: string): string {
  return key.normalize('NFC').toLowerCase();
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
