// Locks on keys that hold between processes which share a directory, without knowing whether their holders live.
//
//   .tmp/lock-<hash of the key>/    a process that has an entry in here holds the key; an empty folder is free
//     put-<uuid>                    a name of the new file: renaming it to the key's path writes and releases in one step
//     delete-<uuid>/                renaming the key's file to a name in here deletes
//
// A lock is taken by renaming a folder that holds such an entry to the lock's name, which fails while another entry is there.
// A holder that was killed leaves its entry. A process that has waited long enough for one entry removes it, which is safe even
// if the holder lives and was only paused: removing an entry and renaming it (or into it) exclude each other in the file
// system, so a holder whose entry is gone can no longer write, and takes the lock and looks again. No pid, clock of another
// machine or signal of life is asked, so it makes no difference if every process is pid 1 or runs in a container of its own.
import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../model/has-code.ts';
import { StorageUnavailableError } from './driver.ts';
import { exists, makeDirectory, nameTaken, PLACING_ATTEMPTS, syncDirectory } from './durable-files.ts';
import { isAbsence, isNoSpace } from './file-errors.ts';

/** How the names of locks begin in the temporary folder. */
export const LOCK_PREFIX = 'lock-';

/** Ten thousand times what a holder needs. Too short a time would cost attempts, not safety. */
export const BREAK_AFTER_MS = 2000;
const GIVE_UP_AFTER_MS = 30_000;
const LONGEST_PAUSE_MS = 32;

/** Decides under the lock. `at` is where the object is now. */
export type MayChange = (at: string) => Promise<boolean>;

export class FileLocks {
  readonly #temporaryFolder: string;
  readonly #breakAfterMs: number;

  constructor(temporaryFolder: string, { breakAfterMs = BREAK_AFTER_MS } = {}) {
    this.#temporaryFolder = temporaryFolder;
    this.#breakAfterMs = breakAfterMs;
  }

  /**
   * Makes `file` the object at `path`, whatever was there; false if `mayReplace` says no. `file` keeps its name.
   * @throws StorageUnavailableError if other processes do not let it have the key for half a minute
   */
  async replace(key: string, file: string, path: string, mayReplace: MayChange): Promise<boolean> {
    const deadline = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      const entry = `put-${randomUUID()}`;
      const lock = await this.#acquire(key, (folder) => link(file, join(folder, entry)), deadline);
      const token = join(lock, entry);
      try {
        if (!(await mayReplace(path))) return false;
        if (await moveInto(token, path)) return true;
      } finally {
        await rm(token, { force: true });
        await removeLockIfEmpty(lock);
      }
    }
  }

  /** Removes the object at `path`, unless there is none or `mayRemove` says no. @throws as `replace` */
  async remove(key: string, path: string, mayRemove: MayChange): Promise<void> {
    const deadline = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      const entry = `delete-${randomUUID()}`;
      let lock: string;
      try {
        lock = await this.#acquire(key, (folder) => mkdir(join(folder, entry)), deadline);
      } catch (error) {
        if (!isNoSpace(error)) throw error;
        return await this.#removeWithoutLock(path, mayRemove);
      }
      const token = join(lock, entry);
      try {
        if (!(await mayRemove(path)) || (await takeObject(path, token))) return;
      } finally {
        await removeToken(token);
        await removeLockIfEmpty(lock);
      }
    }
  }

  /**
   * On a full disk there is no room for a lock, and a delete is what makes some. The object is taken away first and looked
   * at again: if it is another one by then, it comes back, unless something newer has its place.
   */
  async #removeWithoutLock(path: string, mayRemove: MayChange): Promise<void> {
    if (!(await mayRemove(path))) return;
    const taken = join(this.#temporaryFolder, randomUUID());
    try {
      await rename(path, taken);
    } catch (error) {
      if (isAbsence(error)) return;
      throw error;
    }
    if (!(await mayRemove(taken))) await putBack(taken, path);
    await rm(taken, { force: true });
  }

  /** @param fill puts the entry into the folder that becomes the lock */
  async #acquire(key: string, fill: (folder: string) => Promise<unknown>, deadline: number): Promise<string> {
    const name = createHash('sha256').update(key).digest('hex');
    const lock = join(this.#temporaryFolder, `${LOCK_PREFIX}${name}`);
    const own = join(this.#temporaryFolder, randomUUID());
    try {
      await mkdir(own);
      await fill(own);
      let seen = { entry: '', since: performance.now() };
      for (let attempt = 0; !(await isRenamed(own, lock)); attempt++) {
        const now = performance.now();
        if (now > deadline) throw new StorageUnavailableError(`other processes hold ${key}`);
        const entry = await entryOf(lock);
        if (entry === undefined) await removeLockIfEmpty(lock);
        else if (entry !== seen.entry) seen = { entry, since: now };
        else if (now - seen.since > this.#breakAfterMs) await removeToken(join(lock, entry));
        if (entry !== undefined) await sleep(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE_MS));
      }
      return lock;
    } catch (error) {
      await rm(own, { recursive: true, force: true });
      throw error;
    }
  }
}

/** False while the lock has an entry. Windows does not rename to a folder that is there, be it empty. */
async function isRenamed(own: string, lock: string): Promise<boolean> {
  try {
    await rename(own, lock);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    if (process.platform === 'win32' && hasCode(error, 'EPERM', 'EACCES', 'EBUSY')) return false;
    throw error;
  }
}

async function entryOf(lock: string): Promise<string | undefined> {
  try {
    return (await readdir(lock))[0];
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** False if the token is gone: the lock was taken away. */
async function moveInto(token: string, path: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(token, path);
      await syncDirectory(dirname(path));
      return true;
    } catch (error) {
      if (hasCode(error, 'EISDIR', 'EEXIST', 'ENOTEMPTY')) throw nameTaken(path, error);
      if (!hasCode(error, 'ENOENT') || attempt === PLACING_ATTEMPTS) throw error;
      if (!(await exists(token))) return false;
      await makeDirectory(dirname(path)); // the object was deleted before the lock was taken, and its folder with it
    }
  }
}

/** False if the token is gone: the lock was taken away. */
async function takeObject(path: string, token: string): Promise<boolean> {
  try {
    await rename(path, join(token, 'object'));
    return true;
  } catch (error) {
    if (isAbsence(error)) return await exists(token); // or there was no object
    if (!hasCode(error, 'EXDEV')) throw error;
    await rm(path, { force: true }); // a folder that lies on another disk
    return true;
  }
}

/** Ends what the holder of the token may do, or clears away what it has done. Others may do the same at the same moment. */
async function removeToken(token: string): Promise<void> {
  for (const step of [() => unlink(token), () => unlink(join(token, 'object')), () => rmdir(token)]) {
    try {
      await step();
    } catch (error) {
      // Unlinking a folder is EISDIR on Linux and EPERM elsewhere. A delete may take its object between two of the steps.
      if (!isAbsence(error) && !hasCode(error, 'EISDIR', 'EPERM', 'ENOTEMPTY', 'EEXIST')) throw error;
    }
  }
}

async function removeLockIfEmpty(lock: string): Promise<void> {
  try {
    await rmdir(lock);
  } catch (error) {
    // The next process has it already.
    if (!isAbsence(error) && !hasCode(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EPERM', 'EACCES')) throw error;
  }
}

async function putBack(taken: string, path: string): Promise<void> {
  try {
    await link(taken, path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    await makeDirectory(dirname(path));
    await rename(taken, path);
  }
}
