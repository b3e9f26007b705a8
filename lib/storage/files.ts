import { createHash, randomUUID } from 'node:crypto';
import { type BigIntStats, existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { KeyLocks } from '../concurrency/key-locks.ts';
import { hasCode } from '../model/has-code.ts';
import type { Key, KeyPrefix } from '../model/layout.ts';
import { streamOf } from '../streams/byte-source.ts';
import { KiB } from '../streams/bytes.ts';
import { offsetsWithin, watchBody } from './byte-streams.ts';
import {
  type ByteRange,
  checkLook,
  type DeleteOptions,
  type ETag,
  type MultipartUpload,
  type ObjectInfo,
  type PutOptions,
  type PutStreamOptions,
  type ReadObject,
  type StorageDriver,
  StorageUnavailableError,
  type StoredObject,
  type UploadedPart,
} from './driver.ts';
import {
  copyToTemporaryFile,
  etagOf,
  exists,
  linkFile,
  removeEmptyFolders,
  syncDirectory,
  type WrittenFile,
  writeTemporaryFile,
} from './durable-files.ts';
import { FileCache, isOnLocalDisk } from './file-cache.ts';
import { ifPresent, isAbsence, translateErrors } from './file-errors.ts';
import { fold, partsOfKey, spellingOnDisk, TEMPORARY_FOLDER } from './file-keys.ts';
import { type Folder, walkFiles, walkFolders } from './file-listing.ts';
import { FileLocks, LOCK_PREFIX } from './file-locks.ts';
import {
  claimUpload,
  createUpload,
  folderOfUpload,
  joinParts,
  readParts,
  removeUpload,
  writePart,
} from './file-multipart.ts';
import { FileSource } from './file-source.ts';
import { readWholeFile, statFile } from './read-file.ts';

const DAY_MILLISECONDS = 24 * 60 * 60 * 1000;

/** The age at which a lock counts as left by a killed process. A live holder acquires its lock again. */
const STALE_LOCK_MILLISECONDS = 60 * 1000;

/** How many files of a listing are stat'ed at once. */
const STATS_AT_ONCE = 64;

/** What `checkRoom` writes. With less free space not even a manifest can be pushed. */
const PROBE = new Uint8Array(64 * KiB);

export type FilesDriverOptions = {
  /** Whether `a` and `A` are the same file. Default: tried out. */
  ignoresCase?: boolean;
};

/**
 * Objects as files below one directory; the parts of a key are folders. Content types are not stored.
 *
 * Safe for any number of writers in any number of processes on one kernel, such as containers that share a volume: see
 * `file-locks.ts`. On a network file system it is safe for the processes of one host, as other hosts may see old metadata.
 * Needs hard links and timestamps finer than a millisecond: ext4, XFS, Btrfs, ZFS, APFS and NTFS have both.
 */
export class FilesDriver implements StorageDriver {
  readonly #root: string;
  readonly #temporaryFolder: string;
  readonly #ignoresCase: boolean;
  readonly #cache: FileCache | undefined;
  /** The writers of this process take turns, so that only one of them at a time waits for the lock in the directory. */
  readonly #turns = new KeyLocks();
  readonly #locks: FileLocks;

  /**
   * Makes the directory if it is missing. Now and every six hours, removes temporary files and unfinished uploads older than a day.
   * @throws Error if this user cannot write to the directory
   */
  static async open(root: string, options: FilesDriverOptions = {}): Promise<FilesDriver> {
    const temporaryFolder = join(resolve(root), TEMPORARY_FOLDER);
    try {
      await makeFolder(temporaryFolder);
      await removeStale(temporaryFolder);
      setInterval(() => void removeStale(temporaryFolder).catch(() => undefined), DAY_MILLISECONDS / 4).unref();
      const cache = (await isOnLocalDisk(temporaryFolder)) ? new FileCache() : undefined;
      return new FilesDriver(resolve(root), options.ignoresCase ?? (await ignoresCase(temporaryFolder)), cache);
    } catch (error) {
      throw new Error(`cannot store files in ${resolve(root)}: it must be a directory that this user may write to`, {
        cause: error,
      });
    }
  }

  private constructor(root: string, ignoresCase: boolean, cache: FileCache | undefined) {
    this.#root = root;
    this.#cache = cache;
    this.#temporaryFolder = join(root, TEMPORARY_FOLDER);
    this.#ignoresCase = ignoresCase;
    this.#locks = new FileLocks(this.#temporaryFolder);
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    const path = await this.#pathToRead(key);
    const info = path === undefined ? undefined : await infoAt(path, key);
    if (!info) await this.#checkRoot();
    return info;
  }

  async get(key: Key, options: { range?: ByteRange; signal?: AbortSignal } = {}): Promise<StoredObject | undefined> {
    options.signal?.throwIfAborted();
    const path = await this.#pathToRead(key);
    const handle = path === undefined ? undefined : await openIfPresent(path);
    if (!handle) {
      await this.#checkRoot();
      return undefined;
    }
    try {
      const info = infoOf(key, await handle.stat({ bigint: true }));
      const offsets = info && offsetsWithin(options.range, info.sizeBytes);
      if (offsets) return { info, body: streamOf(new FileSource(handle, offsets, options.signal)) };
    } catch (error) {
      await handle.close();
      throw error;
    }
    await handle.close();
    return undefined;
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    const path = await this.#pathToRead(key);
    if (path === undefined) return undefined;
    const cached = this.#cache?.find(path);
    if (cached) return cached;
    try {
      const file = await readWholeFile(path);
      const info = infoOf(key, file.stats);
      if (!info || !('bytes' in file)) return undefined;
      const object = { info, bytes: file.bytes };
      this.#cache?.keep(path, { stats: file.stats, object });
      return object;
    } catch (error) {
      if (!isAbsence(error) && !hasCode(error, 'EISDIR')) throw error;
      await this.#checkRoot();
      return undefined;
    }
  }

  /** ETags on disk do not depend on the bytes. */
  etagOf(): undefined {
    return undefined;
  }

  async put(key: Key, body: Uint8Array, options: PutOptions = {}): Promise<ETag | undefined> {
    if (options.sha256 !== undefined) assertSha256(key, body, options.sha256);
    return await this.#write(key, body, options);
  }

  async putStream(
    key: Key,
    body: AsyncIterable<Uint8Array>,
    options: PutStreamOptions = {},
  ): Promise<ETag | undefined> {
    const watched = watchBody(body, options.signal);
    try {
      return await this.#write(key, watched.chunks, options);
    } catch (error) {
      throw watched.failure ? watched.failure.thrown : error;
    }
  }

  /**
   * A file of its own, which shares its blocks where the file system can (Btrfs, XFS, APFS). With `mayKeepTime` a second name for
   * the same file, whose time and ETag are those of all its names: a file does not change once it has its name.
   */
  async copyIfAbsent(from: Key, to: Key, { mayKeepTime = false }: { mayKeepTime?: boolean } = {}): Promise<boolean> {
    const source = await this.#pathToRead(from);
    const info = source === undefined ? undefined : await infoAt(source, from);
    if (source === undefined || !info) {
      await this.#checkRoot();
      return false;
    }
    const path = join(this.#root, ...partsOfKey(to));
    try {
      const copying: Promise<unknown> = mayKeepTime
        ? this.#turns.run(this.#lockOf(to), () => linkFile(source, path))
        : copyToTemporaryFile(this.#temporaryFolder, source).then((file) => this.#place(to, file, { ifAbsent: true }));
      return Boolean(await this.#translateErrors(`copying ${from} to ${to}`, copying));
    } catch (error) {
      if (isAbsence(error) && !(await infoAt(source, from))) return false; // deleted meanwhile
      throw error;
    }
  }

  async *list(prefix: KeyPrefix, options: { after?: Key } = {}): AsyncGenerator<ObjectInfo> {
    const { folder, namePrefix } = await this.#startOf(prefix);
    if (!folder) return;
    let keys: Key[] = [];
    for await (const key of walkFiles(folder, namePrefix, options.after)) {
      keys.push(key as Key);
      if (keys.length < STATS_AT_ONCE) continue;
      yield* await this.#infosOf(keys);
      keys = [];
    }
    yield* await this.#infosOf(keys);
    await this.#checkRoot(); // what the listing has not found may be there
  }

  async *listFolders(prefix: KeyPrefix, options: { after?: string } = {}): AsyncGenerator<KeyPrefix> {
    const { folder } = await this.#startOf(prefix);
    if (!folder) return;
    for await (const key of walkFolders(folder, options.after)) yield key as KeyPrefix;
    await this.#checkRoot();
  }

  /** Works on a full disk too. */
  async delete(key: Key, options: DeleteOptions = {}): Promise<boolean> {
    return await this.#translateErrors(`deleting ${key}`, this.#deleteInTurn(key, options));
  }

  async #deleteInTurn(key: Key, options: DeleteOptions): Promise<boolean> {
    return await this.#turns.run(this.#lockOf(key), async () => {
      const path = await this.#pathToRead(key);
      if (path === undefined) return true;
      let isUnchanged = true;
      const isWanted = async (at: string) => {
        const info = await infoAt(at, key);
        if (!info) await this.#checkRoot();
        checkLook(options.onceWithin);
        isUnchanged = !info || options.ifMatch === undefined || info.etag === options.ifMatch;
        return info !== undefined && isUnchanged;
      };
      if (!(await isWanted(path))) return isUnchanged; // decided without a lock
      await this.#locks.remove(this.#lockOf(key), path, isWanted);
      if (isUnchanged) await removeEmptyFolders(path, this.#root);
      return isUnchanged;
    });
  }

  async honorsDeleteConditions(): Promise<boolean> {
    return true;
  }

  async createMultipart(key: Key): Promise<MultipartUpload> {
    partsOfKey(key);
    const creating = createUpload(this.#temporaryFolder, key);
    return { key, uploadId: await this.#translateErrors(`starting a multipart upload of ${key}`, creating) };
  }

  async uploadPart(upload: MultipartUpload, partNumber: number, body: Uint8Array): Promise<UploadedPart | undefined> {
    const writing = this.#inUpload(upload, (folder) => writePart(folder, partNumber, body));
    return await this.#translateErrors(`writing part ${partNumber} of ${upload.key}`, writing);
  }

  async listParts(upload: MultipartUpload): Promise<UploadedPart[] | undefined> {
    return await this.#inUpload(upload, readParts);
  }

  async completeMultipart(upload: MultipartUpload, parts: readonly UploadedPart[]): Promise<boolean> {
    const placing = this.#inUpload(upload, (folder) =>
      claimUpload(folder, async (claimed) => {
        const written = await joinParts(claimed, parts);
        return written && (await this.#place(upload.key, written));
      }),
    );
    return (await this.#translateErrors(`completing ${upload.key}`, placing)) !== undefined;
  }

  async abortMultipart(upload: MultipartUpload): Promise<void> {
    await this.#inUpload(upload, removeUpload);
  }

  /** Writes a file of 64 KiB without syncing it, and removes it. */
  async checkRoom(): Promise<void> {
    const path = join(this.#temporaryFolder, randomUUID());
    const trying = writeFile(path, PROBE).finally(() => rm(path, { force: true }));
    await this.#translateErrors('checking for free space', trying);
  }

  async close(): Promise<void> {}

  async #write(
    key: Key,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    { giveBack, ...options }: PutOptions & Pick<PutStreamOptions, 'giveBack'>,
  ): Promise<ETag | undefined> {
    partsOfKey(key); // before anything is written
    return await this.#translateErrors(
      `writing ${key}`,
      writeTemporaryFile(this.#temporaryFolder, body, giveBack).then((file) => this.#place(key, file, options)),
    );
  }

  /** Makes a written file the object of this key if the condition holds. Its temporary name is removed. */
  async #place(
    key: Key,
    file: WrittenFile,
    { ifAbsent = false, ifMatch, look }: PutOptions = {},
  ): Promise<ETag | undefined> {
    const parts = partsOfKey(key);
    const path = join(this.#root, ...parts);
    try {
      return await this.#turns.run(this.#lockOf(key), async () => {
        if (this.#ignoresCase && (await spellingOnDisk(this.#root, parts)) === 'other') {
          throw new Error(
            `the key ${key} differs only in case from one that exists, and this file system ignores case`,
          );
        }
        // Most keys are written once. `link` fails if there is a file already, so it needs no lock.
        if (ifMatch === undefined && (await linkFile(file.path, path, () => checkLook(look)))) return file.etag;
        if (ifAbsent) return undefined;
        const isWanted = async () => {
          const isUnchanged = ifMatch === undefined || (await infoAt(path, key))?.etag === ifMatch;
          checkLook(look);
          return isUnchanged;
        };
        if (!(await isWanted())) return undefined; // decided without a lock
        const isPlaced = await this.#locks.replace(this.#lockOf(key), file.path, path, isWanted);
        return isPlaced ? file.etag : undefined;
      });
    } finally {
      await ifPresent(unlink(file.path));
    }
  }

  /** The path of a key's file; `undefined` where that would be the file of another key. */
  async #pathToRead(key: string): Promise<string | undefined> {
    const parts = partsOfKey(key);
    if (this.#ignoresCase && (await spellingOnDisk(this.#root, parts)) !== 'same') return undefined;
    return join(this.#root, ...parts);
  }

  async #startOf(prefix: KeyPrefix): Promise<{ folder: Folder | undefined; namePrefix: string }> {
    const end = prefix.lastIndexOf('/') + 1;
    const namePrefix = prefix.slice(end);
    if (end === 0) return { folder: { path: this.#root, key: '' }, namePrefix };
    const path = await this.#pathToRead(prefix.slice(0, end - 1));
    return { folder: path === undefined ? undefined : { path, key: prefix.slice(0, end) }, namePrefix };
  }

  async #infosOf(keys: readonly Key[]): Promise<ObjectInfo[]> {
    const infos = await Promise.all(keys.map((key) => infoAt(join(this.#root, key), key)));
    return infos.filter((info) => info !== undefined); // the others were deleted meanwhile
  }

  /** Runs the tasks of one upload one after the other, so that no part changes while the parts are joined. */
  async #inUpload<T>(upload: MultipartUpload, task: (folder: string) => Promise<T>): Promise<T | undefined> {
    return await this.#turns.run(`${TEMPORARY_FOLDER}/${upload.uploadId}`, async () => {
      const folder = await folderOfUpload(this.#temporaryFolder, upload);
      const result = folder === undefined ? undefined : await task(folder);
      if (result === undefined) await this.#checkRoot();
      return result;
    });
  }

  /**
   * A mount that is lost leaves an empty directory, in which no object is there. So an object counts as absent only while the
   * temporary folder is there, which nothing removes. Reads that find their file skip this.
   * @throws StorageUnavailableError if the directory is not the one that was opened
   */
  async #checkRoot(): Promise<void> {
    const isThere = this.#cache ? existsSync(this.#temporaryFolder) : await exists(this.#temporaryFolder);
    if (!isThere) throw new StorageUnavailableError(`${this.#root} is gone, or is not what it was: it has no .tmp`);
  }

  /** As `translateErrors`, which cannot tell why a folder is missing. @throws StorageUnavailableError if the root is gone */
  async #translateErrors<T>(attempted: string, change: Promise<T>): Promise<T> {
    try {
      return await translateErrors(attempted, change);
    } catch (error) {
      if (isAbsence(error)) await this.#checkRoot();
      throw error;
    }
  }

  #lockOf(key: Key): string {
    return this.#ignoresCase ? fold(key) : key;
  }
}

async function infoAt(path: string, key: Key): Promise<ObjectInfo | undefined> {
  const stats = await ifPresent(statFile(path));
  return stats && infoOf(key, stats);
}

function infoOf(key: Key, stats: BigIntStats): ObjectInfo | undefined {
  if (!stats.isFile()) return undefined;
  const info = { key, sizeBytes: Number(stats.size), etag: etagOf(stats), lastModified: stats.mtime };
  return stats.nlink > 1n ? { ...info, sharesBytes: true } : info;
}

async function openIfPresent(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isAbsence(error) || hasCode(error, 'EISDIR')) return undefined;
    throw error;
  }
}

function assertSha256(key: Key, body: Uint8Array, expected: string): void {
  const actual = createHash('sha256').update(body).digest('hex');
  if (actual !== expected) throw new Error(`the bytes for ${key} have SHA-256 ${actual}, not ${expected}`);
}

/** Makes a directory and those above it, and syncs the names of new ones. In /proc the `recursive` of Node's `mkdir` repeats without end. @throws as `mkdir` does */
async function makeFolder(path: string): Promise<void> {
  const isMade = await ifPresent(mkdirIfAbsent(path).then(() => true));
  if (isMade) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdirIfAbsent(path);
}

async function mkdirIfAbsent(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function removeStale(temporaryFolder: string): Promise<void> {
  const now = Date.now();
  for (const name of await readdir(temporaryFolder)) {
    const oldest = now - (name.startsWith(LOCK_PREFIX) ? STALE_LOCK_MILLISECONDS : DAY_MILLISECONDS);
    const path = join(temporaryFolder, name);
    const stats = await stat(path).catch(() => undefined); // another process has removed it
    if (stats && stats.mtimeMs < oldest) await rm(path, { recursive: true, force: true });
  }
}

/** Looks for the temporary folder in upper case. Nothing is written, so a registry starts on a full disk too. */
async function ignoresCase(temporaryFolder: string): Promise<boolean> {
  const folder = await stat(temporaryFolder, { bigint: true });
  try {
    const other = await stat(join(dirname(temporaryFolder), TEMPORARY_FOLDER.toUpperCase()), { bigint: true });
    return other.ino === folder.ino && other.dev === folder.dev;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}
