// Whether a server honors `If-Match` of a DELETE. AWS does. MinIO ignores it and deletes the object anyway
// (https://github.com/minio/minio/issues/21677); other servers respond 501.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
import { randomUUID } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { type Key, layout } from '../model/layout.ts';
import { StorageUnavailableError } from './driver.ts';
import { answerOf, asStorageError, isAbsent, isConflict, statusOf } from './s3-errors.ts';

/** `unknown` if the credentials do not allow the probe: then they do not allow deletes either. */
export type DeleteConditions = 'honored' | 'ignored' | 'unknown';

/** The ETag of no object. */
const ANOTHER_ETAG = `"${'0'.repeat(32)}"`;

/**
 * Tries it out with an object of its own, in a folder whose objects expire. Three requests; four if the condition is ignored.
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
    const isHonored =
      (await deleteObject(client, address, ANOTHER_ETAG)) === 'changed' &&
      (await deleteObject(client, address, etag)) === 'deleted';
    if (!isHonored) await deleteObject(client, address);
    return isHonored ? 'honored' : 'ignored';
  } catch (error) {
    if (error instanceof StorageUnavailableError) throw error;
    return 'unknown';
  }
}

export type DeleteOutcome = 'deleted' | 'changed' | 'not understood';

/** One request. `not understood` is a 501. @param ifMatch deletes only the object with this ETag */
export async function deleteObject(
  client: S3Client,
  address: { Bucket: string; Key: string },
  ifMatch?: string,
): Promise<DeleteOutcome> {
  try {
    await client.send(new DeleteObjectCommand({ ...address, IfMatch: ifMatch }));
    return 'deleted';
  } catch (error) {
    if (isAbsent(error)) return 'deleted'; // the response to a condition on a missing object
    if (ifMatch !== undefined && (statusOf(error) === 412 || isConflict(error))) return 'changed';
    if (ifMatch !== undefined && statusOf(error) === 501) return 'not understood';
    throw asStorageError(`DELETE ${address.Key}`, error);
  }
}
