import type { Key } from '../model/layout.ts';
import type { ETag, ObjectInfo } from './driver.ts';

/** Of the headers of a response that has the whole object, or none of it. */
export function infoOf(key: Key, headers: Readonly<Record<string, string | undefined>>): ObjectInfo {
  const { etag: ETag, 'last-modified': lastModified, 'content-length': sizeBytes } = headers;
  const LastModified = lastModified === undefined ? undefined : new Date(lastModified);
  return { key, sizeBytes: Number(sizeBytes), etag: etagOf({ ETag }), lastModified: dateOf({ LastModified }) };
}

/** @throws Error if the server sends no ETag, which S3 always does */
export function etagOf({ ETag: etag }: { ETag?: string | undefined }): ETag {
  if (etag === undefined) throw new Error('the server sent no ETag');
  return etag as ETag;
}

export function dateOf({ LastModified: date }: { LastModified?: Date | undefined }): Date {
  if (date === undefined) throw new Error('the server sent no Last-Modified');
  return date;
}
