// Locks on keys between processes that share a directory.
//
//   .tmp/lock-<hash of the key>/    the process that has an entry in here holds the key; an empty folder is a free lock
//     put-<uuid>                    a second name of the new file: renaming it to the key's path writes and releases in one step
//     delete-<uuid>/                renaming the key's file to a name in here deletes it
//
// A process acquires a lock by renaming a folder that contains its entry to the lock's name, which fails while the lock has an
// entry. A killed holder leaves its entry. A process that has waited long enough for one entry removes it. That is safe even if
// the holder was only paused: in the file system an entry is either removed or renamed (or renamed into), so a holder whose
// entry is gone cannot write any more, and acquires the lock again. Neither process ids nor clocks nor heartbeats are compared,
// so the processes may run in containers of their own.
import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../model/has-code.ts';
import { StorageUnavailableError } from './driver.ts';
import { exists, makeDirectory, nameTaken, PLACING_ATTEMPTS, syncDirectory } from './durable-files.ts';
import { ifPresent, isAbsence, isNoSpace } from './file-errors.ts';

/** The names of locks in the temporary folder begin with it. */
export const LOCK_PREFIX = 'lock-';

/** How long one entry may hold a lock: ten thousand times what a holder needs. A shorter time is as safe, but costs retries. */
export const BREAK_AFTER_MS = 2000;
const GIVE_UP_AFTER_MS = 30_000;
const LONGEST_PAUSE_MS = 32;

/** Decides, while the key is locked, whether the change is made. `at` is the path where the object is now. */
export type MayChange = (at: string) => Promise<boolean>;

export class FileLocks {
  readonly #temporaryFolder: string;
  readonly #breakAfterMs: number;

  constructor(temporaryFolder: string, { breakAfterMs = BREAK_AFTER_MS } = {}) {
    this.#temporaryFolder = temporaryFolder;
    this.#breakAfterMs = breakAfterMs;
  }

  /**
   * Makes `file` the object at `path`, in place of any other. `file` keeps its own name too.
   * @returns false if `mayReplace` has refused
   * @throws StorageUnavailableError if other processes hold the key for 30 s
   */
  async replace(key: string, file: string, path: string, mayReplace: MayChange): Promise<boolean> {
    const deadline = performance.now() + GIVE_UP_AFTER_MS;
    for (;;) {
      const entry = `put-${randomUUID()}`;
      const lock = await this.#acquire(key, (folder) => link(file, join(folder, entry)), deadline);
      const token = join(lock, entry);
      try {
        if (!(await mayReplace(path))) return false;
        if (await placeFile(token, path)) return true;
      } finally {
        await rm(token, { force: true });
        await removeLockIfEmpty(lock);
      }
    }
  }

  /** Removes the object at `path`, unless there is none or `mayRemove` refuses. @throws as `replace` */
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
   * A full disk has no room for a lock, and deletes free some. The object is moved away first and checked again: if another
   * process has replaced it meanwhile, it is moved back, unless an even newer object is at `path` by then.
   */
  async #removeWithoutLock(path: string, mayRemove: MayChange): Promise<void> {
    if (!(await mayRemove(path))) return;
    const taken = join(this.#temporaryFolder, randomUUID());
    const isTaken = await ifPresent(rename(path, taken).then(() => true));
    if (!isTaken) return;
    if (!(await mayRemove(taken))) await putBack(taken, path);
    await rm(taken, { force: true });
  }

  /**
   * Waits for the lock of a key, and acquires it.
   * @param fill makes the entry in the folder that becomes the lock
   * @returns the path of the lock
   */
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

/** False while the lock has an entry. Windows does not rename to an existing folder, even an empty one. */
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
  return (await ifPresent(readdir(lock)))?.[0];
}

/** False if the token is gone: another process has broken the lock. */
async function placeFile(token: string, path: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(token, path);
      await syncDirectory(dirname(path));
      return true;
    } catch (error) {
      if (hasCode(error, 'EISDIR', 'EEXIST', 'ENOTEMPTY')) throw nameTaken(path, error);
      if (!hasCode(error, 'ENOENT') || attempt === PLACING_ATTEMPTS) throw error;
      if (!(await exists(token))) return false;
      await makeDirectory(dirname(path)); // a delete has removed the object and its folder before the lock was acquired
    }
  }
}

/** False if the token is gone: another process has broken the lock. */
async function takeObject(path: string, token: string): Promise<boolean> {
  try {
    await rename(path, join(token, 'object'));
    return true;
  } catch (error) {
    if (isAbsence(error)) return await exists(token); // if the token is there, the object is missing
    if (!hasCode(error, 'EXDEV')) throw error;
    await rm(path, { force: true }); // the object is in a folder on another disk
    return true;
  }
}

/** Removes an entry, with the object that a delete has moved into it. Several processes may do so at once. */
async function removeToken(token: string): Promise<void> {
  for (const step of [() => unlink(token), () => unlink(join(token, 'object')), () => rmdir(token)]) {
    try {
      await step();
    } catch (error) {
      // Unlinking a folder fails with EISDIR on Linux, EPERM elsewhere. A delete may move its object in between two steps.
      if (!isAbsence(error) && !hasCode(error, 'EISDIR', 'EPERM', 'ENOTEMPTY', 'EEXIST')) throw error;
    }
  }
}

async function removeLockIfEmpty(lock: string): Promise<void> {
  try {
    await rmdir(lock);
  } catch (error) {
    // The next process has acquired it.
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
