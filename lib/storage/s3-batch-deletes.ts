import { DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3';
import { asStorageError, statusOf } from './s3-errors.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const MOST_OBJECTS = 1000;

/** The server has no such operation, or wants another checksum of the request than AWS does. */
const REFUSALS = [400, 405, 501];

/** Deletes many objects by one request, where the server can. */
export class BatchDeletes {
  readonly #client: S3Client;
  readonly #bucket: string;
  #isRefused = false;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  /**
   * One request per 1,000 objects; none once the server has refused one.
   * @returns the objects that are left to delete one by one, by requests that are repeated: all that the server refuses to delete
   *   by one request, and those that it reports as not deleted
   * @throws as `asStorageError`
   */
  async delete(keys: readonly string[]): Promise<readonly string[]> {
    const left: string[] = [];
    for (let start = 0; start < keys.length; start += MOST_OBJECTS) {
      const batch = keys.slice(start, start + MOST_OBJECTS);
      left.push(...(this.#isRefused ? batch : await this.#deleteBatch(batch)));
    }
    return left;
  }

  async #deleteBatch(keys: readonly string[]): Promise<readonly string[]> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    try {
      const { Errors = [] } = await this.#client.send(new DeleteObjectsCommand({ Bucket: this.#bucket, Delete }));
      const failed = new Set(Errors.map(({ Key }) => Key));
      return failed.has(undefined) ? keys : keys.filter((key) => failed.has(key));
    } catch (error) {
      if (!REFUSALS.includes(statusOf(error) ?? 0)) throw asStorageError(`DELETE of ${keys.length} objects`, error);
      this.#isRefused = true;
      return keys;
    }
  }
}
