import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, chown, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hasCode } from '../../model/has-code.ts';

const OWNER_ONLY = 0o600;

/**
 * Replaces a file in one step: readers see the old content or the new, never a part. Follows symbolic links. The file keeps its
 * owner, group and mode, because the server that reads it may run as another user; a new file can be read by its owner alone.
 * @throws Error if that is not possible; the file is then unchanged
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const target = await undefinedIfMissing(realpath(path));
  const unfinished = `${target ?? path}.${randomUUID()}`;
  await writeFile(unfinished, text, { mode: OWNER_ONLY, flag: 'wx' });
  try {
    if (target) await copyOwnerAndMode(unfinished, target);
    await rename(unfinished, target ?? path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function copyOwnerAndMode(unfinished: string, target: string): Promise<void> {
  const [copy, original] = await Promise.all([stat(unfinished), stat(target)]);
  if (copy.uid !== original.uid || copy.gid !== original.gid) {
    await chown(unfinished, original.uid, original.gid).catch((cause: unknown) => {
      throw new Error(ownerProblem(target, original), { cause });
    });
  }
  await chmod(unfinished, original.mode & 0o7777);
}

function ownerProblem(target: string, { uid, gid }: Stats): string {
  return (
    `${target} belongs to the user ${uid} and the group ${gid}, and this command cannot keep that, so the server might not be ` +
    'able to read the file afterwards: run the command as that user, or as root'
  );
}

async function undefinedIfMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
