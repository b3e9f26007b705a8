// Multipart uploads on disk. Each is a folder `<root>/.tmp/<uploadId>` with a file `key`, which names the object to come, and
// a file `<part number>.<size in bytes>.<random>` for each part, written aside and renamed; the random name is its ETag.
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../model/has-code.ts';
import type { ETag, MultipartUpload, UploadedPart } from './driver.ts';
import { sealFile, type WrittenFile, writeAside } from './durable-files.ts';
import { isAbsence } from './file-errors.ts';
import { MAX_PARTS, MIN_PART_BYTES } from './multipart-limits.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PART_FILE = /^(\d{1,5})\.(\d+)\.([0-9a-f-]{36})$/;

const COPY_CHUNK_BYTES = 1024 * 1024;

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

/** The folder of the upload, if it is one and for this key. Its id may come from outside, so only a UUID makes a path. */
export async function folderOfUpload(temporaryFolder: string, upload: MultipartUpload): Promise<string | undefined> {
  if (!UUID.test(upload.uploadId)) return undefined;
  const folder = join(temporaryFolder, upload.uploadId);
  try {
    return (await readFile(join(folder, 'key'), 'utf8')) === upload.key ? folder : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** `undefined` if the upload ends meanwhile, in another process. */
export async function writePart(
  folder: string,
  partNumber: number,
  body: Uint8Array,
): Promise<UploadedPart | undefined> {
  if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS) {
    throw new RangeError(`part number ${partNumber} is not one of 1 to ${MAX_PARTS}`);
  }
  const part: UploadedPart = { partNumber, etag: randomUUID() as ETag, sizeBytes: body.byteLength };
  try {
    const { path } = await writeAside(folder, body);
    await rename(path, partPath(folder, part));
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  await removeOlder(folder, part);
  return part;
}

/** Of one part that is written twice at once, in two processes, the later one stays: neither removes both. */
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
  try {
    return (await stat(path, { bigint: true })).mtimeNs;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** The last one of each number; `undefined` if the upload is gone. */
export async function readParts(folder: string): Promise<UploadedPart[] | undefined> {
  for (;;) {
    const files = await readPartFiles(folder);
    const latest = files && (await latestOf(folder, files));
    if (latest || !files) return latest;
  }
}

/** `undefined` if one of them is replaced meanwhile. */
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

/** Of a part that is written again two files may be there for a moment. In order of number and name. */
async function readPartFiles(folder: string): Promise<UploadedPart[] | undefined> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  const parts: UploadedPart[] = [];
  for (const name of names) {
    const [, partNumber, sizeBytes, etag] = PART_FILE.exec(name) ?? [];
    if (etag !== undefined)
      parts.push({ partNumber: Number(partNumber), sizeBytes: Number(sizeBytes), etag: etag as ETag });
  }
  return parts.sort((a, b) => a.partNumber - b.partNumber || (a.etag < b.etag ? -1 : 1));
}

/**
 * Takes the upload's folder away from other processes while `task` works in it: of two that complete one upload, only one
 * may touch its files. The folder goes with success, and comes back if `task` gives `undefined` or throws.
 */
export async function claimUpload<T>(
  folder: string,
  task: (claimed: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  const claimed = `${folder}.${randomUUID()}`;
  try {
    await rename(folder, claimed);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  let result: T | undefined;
  try {
    result = await task(claimed);
    return result;
  } finally {
    if (result === undefined) await rename(claimed, folder);
    else await removeFolder(claimed);
  }
}

/** Takes the upload away, first from other processes, then from the disk. */
export async function removeUpload(folder: string): Promise<void> {
  await claimUpload(folder, async () => true);
}

/**
 * A part that another process was about to write may still come into the folder. What is left then is cleared away with
 * all that is stale: the upload itself has ended, and no request should fail for that.
 */
async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EPERM')) throw error;
  }
}

/**
 * Makes one file of the parts; `undefined` if one of them is not there (any more). The file still lies in the upload's folder.
 *
 * Parts 2 to n are copied behind the first one. That is a second write of their bytes, accepted because only uploads in
 * chunks (PATCH with Content-Range) come this way: everything else is written once by `putStream`.
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
    await target.truncate(first.sizeBytes); // an earlier attempt may have died half-way
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

/** S3 refuses the same: what works on disk shall work there. */
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
