// Multipart uploads on disk. Each is a folder `<root>/.tmp/<uploadId>` with a file `key`, which contains the object's key, and a
// file `<part number>.<size in bytes>.<random>` for each part; the random name is the part's ETag.
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../model/has-code.ts';
import type { ETag, MultipartUpload, UploadedPart } from './driver.ts';
import { sealFile, type WrittenFile, writeTemporaryFile } from './durable-files.ts';
import { ifPresent } from './file-errors.ts';
import { MAX_PARTS, MIN_PART_BYTES } from './multipart-limits.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PART_FILE = /^(\d{1,5})\.(\d+)\.([0-9a-f-]{36})$/;

const COPY_CHUNK_BYTES = 1024 * 1024;

/** @returns the id of the new upload */
export async function createUpload(temporaryFolder: string, key: string): Promise<string> {
  const uploadId = randomUUID();
  const folder = join(temporaryFolder, uploadId);
  await mkdir(folder);
  try {
    await writeFile(join(folder, 'key'), key);
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
  return uploadId;
}

/** The folder of an upload; `undefined` if there is no such upload of this key. A client may forge the id, so it must be a UUID. */
export async function folderOfUpload(temporaryFolder: string, upload: MultipartUpload): Promise<string | undefined> {
  if (!UUID.test(upload.uploadId)) return undefined;
  const folder = join(temporaryFolder, upload.uploadId);
  return (await ifPresent(readFile(join(folder, 'key'), 'utf8'))) === upload.key ? folder : undefined;
}

/** Writes a part. `undefined` if another process ends the upload meanwhile. @throws RangeError for a wrong part number */
export async function writePart(
  folder: string,
  partNumber: number,
  body: Uint8Array,
): Promise<UploadedPart | undefined> {
  if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS) {
    throw new RangeError(`part number ${partNumber} is not one of 1 to ${MAX_PARTS}`);
  }
  const part: UploadedPart = { partNumber, etag: randomUUID() as ETag, sizeBytes: body.byteLength };
  const writing = writeTemporaryFile(folder, body).then(({ path }) => rename(path, partPath(folder, part)));
  const isWritten = await ifPresent(writing.then(() => true));
  if (!isWritten) return undefined;
  await removeOlder(folder, part);
  return part;
}

/** Removes earlier files of the same part. If two processes write one part at once, the later file stays. */
async function removeOlder(folder: string, part: UploadedPart): Promise<void> {
  const written = await timeOf(partPath(folder, part));
  for (const other of (await readPartFiles(folder)) ?? []) {
    if (other.partNumber !== part.partNumber || other.etag === part.etag) continue;
    const path = partPath(folder, other);
    const otherWritten = await timeOf(path);
    if (written === undefined || otherWritten === undefined || otherWritten > written) continue;
    if (otherWritten < written || other.etag < part.etag) await rm(path, { force: true });
  }
}

async function timeOf(path: string): Promise<bigint | undefined> {
  return (await ifPresent(stat(path, { bigint: true })))?.mtimeNs;
}

/** The latest part of each number. `undefined` if the upload is gone. */
export async function readParts(folder: string): Promise<UploadedPart[] | undefined> {
  for (;;) {
    const files = await readPartFiles(folder);
    const latest = files && (await latestOf(folder, files));
    if (latest || !files) return latest;
  }
}

/** `undefined` if a part is replaced meanwhile. */
async function latestOf(folder: string, files: readonly UploadedPart[]): Promise<UploadedPart[] | undefined> {
  const latest = new Map<number, { part: UploadedPart; written: bigint }>();
  for (const [index, part] of files.entries()) {
    const isAlone = [files[index - 1], files[index + 1]].every((next) => next?.partNumber !== part.partNumber);
    const written = isAlone ? 0n : await timeOf(partPath(folder, part));
    if (written === undefined) return undefined;
    const other = latest.get(part.partNumber);
    if (!other || other.written <= written) latest.set(part.partNumber, { part, written });
  }
  return [...latest.values()].map(({ part }) => part);
}

/** The files of parts, by number and name. While a part is written again, it has two files. */
async function readPartFiles(folder: string): Promise<UploadedPart[] | undefined> {
  const names = await ifPresent(readdir(folder));
  if (!names) return undefined;
  const parts: UploadedPart[] = [];
  for (const name of names) {
    const [, partNumber, sizeBytes, etag] = PART_FILE.exec(name) ?? [];
    if (etag !== undefined)
      parts.push({ partNumber: Number(partNumber), sizeBytes: Number(sizeBytes), etag: etag as ETag });
  }
  return parts.sort((a, b) => a.partNumber - b.partNumber || (a.etag < b.etag ? -1 : 1));
}

/**
 * Renames the upload's folder while `task` works in it, so that of two processes that complete one upload only one uses its
 * files. Afterwards the folder is removed, or renamed back if `task` has returned `undefined` or thrown.
 * @returns what `task` returned; `undefined` if the upload is gone
 */
export async function claimUpload<T>(
  folder: string,
  task: (claimed: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  const claimed = `${folder}.${randomUUID()}`;
  const isClaimed = await ifPresent(rename(folder, claimed).then(() => true));
  if (!isClaimed) return undefined;
  let result: T | undefined;
  try {
    result = await task(claimed);
    return result;
  } finally {
    if (result === undefined) await rename(claimed, folder);
    else await removeFolder(claimed);
  }
}

/** Removes an upload with its parts. */
export async function removeUpload(folder: string): Promise<void> {
  await claimUpload(folder, async () => true);
}

/**
 * Another process may still write a part into the folder. Then the folder stays until stale files are removed: the upload has
 * ended, so the request does not fail.
 */
async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EPERM')) throw error;
  }
}

/**
 * Joins the parts to one file in the upload's folder. `undefined` if a part is missing.
 *
 * Parts 2 to n are appended to the first, so their bytes are written twice. Only uploads in several chunks (PATCH) take this
 * path; all other objects are written once, by `putStream`.
 * @throws Error if the parts are out of order, or too small for S3
 */
export async function joinParts(folder: string, parts: readonly UploadedPart[]): Promise<WrittenFile | undefined> {
  const [first, ...others] = parts;
  if (!first) throw new Error('a multipart upload is completed with at least one part');
  assertJoinable(parts);
  const present = new Set((await readPartFiles(folder))?.map((part) => part.etag));
  if (!parts.every((part) => present.has(part.etag))) return undefined;

  const path = partPath(folder, first);
  const target = await open(path, 'r+');
  try {
    await target.truncate(first.sizeBytes); // an earlier attempt may have been killed half-way
    let position = first.sizeBytes;
    for (const part of others) position = await copyInto(target, position, partPath(folder, part));
    return { path, etag: await sealFile(target) };
  } finally {
    await target.close();
  }
}

async function copyInto(target: FileHandle, position: number, source: string): Promise<number> {
  const handle = await open(source, 'r');
  let end = position;
  for await (const chunk of handle.createReadStream({ highWaterMark: COPY_CHUNK_BYTES })) {
    const bytes: Uint8Array = chunk;
    for (let written = 0; written < bytes.byteLength; ) {
      const { bytesWritten } = await target.write(bytes, written, bytes.byteLength - written, end);
      written += bytesWritten;
      end += bytesWritten;
    }
  }
  return end;
}

/** Refuses what S3 refuses, so that a client that works with storage on disk works with S3 too. */
function assertJoinable(parts: readonly UploadedPart[]): void {
  for (const [index, part] of parts.entries()) {
    const next = parts[index + 1];
    if (!next) continue;
    if (next.partNumber <= part.partNumber)
      throw new Error(`part ${next.partNumber} comes after part ${part.partNumber}`);
    if (part.sizeBytes < MIN_PART_BYTES) {
      throw new Error(`part ${part.partNumber} holds ${part.sizeBytes} bytes; all but the last need ${MIN_PART_BYTES}`);
    }
  }
}

function partPath(folder: string, { partNumber, sizeBytes, etag }: UploadedPart): string {
  return join(folder, `${partNumber}.${sizeBytes}.${etag}`);
}
