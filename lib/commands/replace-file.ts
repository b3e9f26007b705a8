import type { Stats } from 'node:fs';
import { chmod, chown, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hasCode } from '../model/has-code.ts';

/** Whoever runs a command may be another user than the server that has to read the file. */
const PRIVATE = 0o600;

/**
 * Writes a file in one step: who reads at this moment finds the old content or the new. It keeps owner, group and mode; a
 * new one belongs to whoever runs this, and is for them alone.
 * @throws Error if that cannot be done; then the file is as it was
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const target = await unlessMissing(realpath(path));
  const unfinished = `${target ?? path}.${process.pid}`;
  await writeFile(unfinished, text, { mode: PRIVATE, flag: 'wx' });
  try {
    if (target) await makeAlike(unfinished, target);
    await rename(unfinished, target ?? path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function makeAlike(unfinished: string, target: string): Promise<void> {
  const [made, wanted] = await Promise.all([stat(unfinished), stat(target)]);
  if (made.uid !== wanted.uid || made.gid !== wanted.gid) {
    await chown(unfinished, wanted.uid, wanted.gid).catch((cause: unknown) => {
      throw new Error(notOurs(target, wanted), { cause });
    });
  }
  await chmod(unfinished, wanted.mode & 0o7777);
}

function notOurs(target: string, { uid, gid }: Stats): string {
  return (
    `${target} belongs to the user ${uid} and the group ${gid}, and would not any more, so that the server might not be ` +
    'able to read it: run this as that user, or as root'
  );
}

async function unlessMissing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
