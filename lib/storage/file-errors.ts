import { hasCode } from '../model/has-code.ts';
import { StorageFullError, StorageUnavailableError } from './driver.ts';

/** There is no file of this name, or a folder on the path to it is a file. */
export function isAbsence(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

/** Waits for an operation on a file; `undefined` if there is no such file. */
export async function ifPresent<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** The disk, or the user's quota, is full. */
export function isNoSpace(error: unknown): boolean {
  return hasCode(error, 'ENOSPC', 'EDQUOT');
}

/**
 * Waits for a write to the file system.
 * @param attempted what it does, for the message: `writing a/b`
 * @throws StorageFullError, StorageUnavailableError for the errors that mean that; other errors as they are
 */
export async function translateErrors<T>(attempted: string, change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    if (isNoSpace(error)) throw new StorageFullError(`${attempted}: no space left on the disk`, { cause: error });
    if (hasCode(error, ...MAY_PASS))
      throw new StorageUnavailableError(`${attempted}: not possible now`, { cause: error });
    throw error;
  }
}

/** Linux remounts a disk read-only after errors; the process or the machine has too many files open. */
const MAY_PASS = ['EROFS', 'EMFILE', 'ENFILE'];
