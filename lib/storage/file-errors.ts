import { hasCode } from '../model/has-code.ts';
import { StorageFullError, StorageUnavailableError } from './driver.ts';

/** Nothing is there: no such name, or a folder on the way to it is an object. */
export function isAbsence(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

/** The disk is full, or the user's share of it. */
export function isNoSpace(error: unknown): boolean {
  return hasCode(error, 'ENOSPC', 'EDQUOT');
}

/** Waits for a change, and throws what the file system said against it by its meaning. */
export async function changing<T>(attempted: string, change: Promise<T>): Promise<T> {
  try {
    return await change;
  } catch (error) {
    if (isNoSpace(error)) throw new StorageFullError(`${attempted}: no space left on the disk`, { cause: error });
    if (hasCode(error, ...MAY_PASS))
      throw new StorageUnavailableError(`${attempted}: not possible now`, { cause: error });
    throw error;
  }
}

/** The disk was mounted anew for reading alone, as Linux does after errors; this process has too many files open. */
const MAY_PASS = ['EROFS', 'EMFILE', 'ENFILE'];
