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
   * @returns the objects that are left to delete one by one
   * @throws as `asStorageError`, also if one of the objects could not be deleted
   */
  async delete(keys: readonly string[]): Promise<readonly string[]> {
    for (let start = 0; start < keys.length; start += MOST_OBJECTS) {
      if (this.#isRefused) return keys.slice(start);
      await this.#deleteBatch(keys.slice(start, start + MOST_OBJECTS));
      if (this.#isRefused) return keys.slice(start);
    }
    return [];
  }

  async #deleteBatch(keys: readonly string[]): Promise<void> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    try {
      const { Errors } = await this.#client.send(new DeleteObjectsCommand({ Bucket: this.#bucket, Delete }));
      const [first] = Errors ?? [];
      if (first) throw new Error(`DELETE ${first.Key}: ${first.Code} ${first.Message}`);
    } catch (error) {
      if (REFUSALS.includes(statusOf(error) ?? 0)) this.#isRefused = true;
      else throw asStorageError(`DELETE of ${keys.length} objects`, error);
    }
  }
}
