import { hasCode } from '../has-code.ts';

/** Nothing is there: no such name, or a folder on the way to it is an object. */
export function isAbsence(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR');
}

/** The disk is full, or the user's share of it. */
export function isNoSpace(error: unknown): boolean {
  return hasCode(error, 'ENOSPC', 'EDQUOT');
}
