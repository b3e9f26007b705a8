// Whether a server deletes an object only if it is still the one that was seen. AWS does. MinIO ignores `If-Match` here and
// deletes what there is (https://github.com/minio/minio/issues/21677); others answer 501.
import { randomUUID } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { type Key, layout } from '../model/layout.ts';
import { StorageUnavailableError } from './driver.ts';
import { answerOf, asStorageError, isAbsent, isConflict, statusOf } from './s3-errors.ts';

/** `unknown` where the credentials do not let us try: then nothing is deleted with them either. */
export type DeleteConditions = 'kept' | 'ignored' | 'unknown';

/** No object has it. */
const ANOTHER_ETAG = `"${'0'.repeat(32)}"`;

/**
 * Tries it with an object of its own, among those that expire. Three requests, four where it is ignored.
 * @throws StorageUnavailableError
 */
export async function probeDeleteConditions(
  client: S3Client,
  addressOf: (key: Key) => { Bucket: string; Key: string },
): Promise<DeleteConditions> {
  const address = addressOf(layout.uploadScrap(randomUUID()));
  try {
    const { ETag: etag } = await answerOf(
      `PUT ${address.Key}`,
      client.send(new PutObjectCommand({ ...address, Body: new Uint8Array() })),
    );
    const isKept =
      (await deleteObject(client, address, ANOTHER_ETAG)) === 'changed' &&
      (await deleteObject(client, address, etag)) === 'deleted';
    if (!isKept) await deleteObject(client, address);
    return isKept ? 'kept' : 'ignored';
  } catch (error) {
    if (error instanceof StorageUnavailableError) throw error;
    return 'unknown';
  }
}

export type DeleteOutcome = 'deleted' | 'changed' | 'not understood';

/** One request. */
export async function deleteObject(
  client: S3Client,
  address: { Bucket: string; Key: string },
  ifMatch?: string,
): Promise<DeleteOutcome> {
  try {
    await client.send(new DeleteObjectCommand({ ...address, IfMatch: ifMatch }));
    return 'deleted';
  } catch (error) {
    if (isAbsent(error)) return 'deleted'; // what S3 says when there is a condition, but no object
    if (ifMatch !== undefined && (statusOf(error) === 412 || isConflict(error))) return 'changed';
    if (ifMatch !== undefined && statusOf(error) === 501) return 'not understood';
    throw asStorageError(`DELETE ${address.Key}`, error);
  }
}
