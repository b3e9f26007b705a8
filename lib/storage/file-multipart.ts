// Multipart uploads on disk. Each is a folder `<root>/.tmp/<uploadId>` with a file `key`, which names the object to come, and
// a file `<part number>.<size in bytes>.<random>` for each part, written aside and renamed; the random name is its ETag.
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../has-code.ts';
import type { ETag, MultipartUpload, UploadedPart } from './driver.ts';
import { sealFile, type WrittenFile, writeAside } from './durable-files.ts';
import { isAbsence } from './file-errors.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PART_FILE = /^(\d{1,5})\.(\d+)\.([0-9a-f-]{36})$/;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MAX_PARTS = 10_000;
const MIN_PART_BYTES = 5 * 1024 * 1024;

const COPY_CHUNK_BYTES = 1024 * 1024;

export async function createUpload(temporaryFolder: string, key: string): Promise<string> {
  const uploadId = randomUUID();
  const folder = join(temporaryFolder, uploadId);
  await mkdir(folder);
  await writeFile(join(folder, 'key'), key);
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

export async function writePart(folder: string, partNumber: number, body: Uint8Array): Promise<UploadedPart> {
  if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS) {
    throw new RangeError(`part number ${partNumber} is not one of 1 to ${MAX_PARTS}`);
  }
  const { path } = await writeAside(folder, body);
  const part: UploadedPart = { partNumber, etag: randomUUID() as ETag, sizeBytes: body.byteLength };
  await rename(path, partPath(folder, part));
  for (const older of await readParts(folder)) {
    if (older.partNumber === partNumber && older.etag !== part.etag) await rm(partPath(folder, older), { force: true });
  }
  return part;
}

export async function readParts(folder: string): Promise<UploadedPart[]> {
  const parts: UploadedPart[] = [];
  for (const name of await readdir(folder)) {
    const [, partNumber, sizeBytes, etag] = PART_FILE.exec(name) ?? [];
    if (etag !== undefined)
      parts.push({ partNumber: Number(partNumber), sizeBytes: Number(sizeBytes), etag: etag as ETag });
  }
  return parts.sort((a, b) => a.partNumber - b.partNumber);
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
    else await rm(claimed, { recursive: true, force: true });
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
  const present = new Set((await readParts(folder)).map((part) => part.etag));
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
