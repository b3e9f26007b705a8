import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { createAgents } from '../../storage/s3-agents.ts';
import { regionOfSdk, S3Clients, type S3DriverOptions } from '../../storage/s3-client.ts';
import { isRefusal, statusOf } from '../../storage/s3-errors.ts';
import { MAX_TEXT_BYTES, MissingTextError, type TextSource, type VersionedText } from './text-source.ts';

export const INTERVAL_MS = 60_000;

/** Reads a text from an object in S3, in the registry's own bucket or another one. */
export class ObjectSource implements TextSource {
  readonly name: string;
  readonly intervalMs = INTERVAL_MS;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #key: string;

  /** @param options of the registry's own bucket, if it has one */
  constructor(bucket: string, key: string, options?: S3DriverOptions) {
    this.name = `s3://${bucket}/${key}`;
    this.#bucket = bucket;
    this.#key = key;
    // The region of another bucket is not known; without one the client follows the redirect of S3 to it.
    const { region, ...address } = options ?? { bucket, keyPrefix: '' };
    const own = options?.bucket === bucket && region !== undefined ? { ...address, region } : address;
    this.#client = new S3Clients(own, createAgents(), async () => region ?? (await regionOfSdk())).small;
  }

  async read(known?: string): Promise<VersionedText | undefined> {
    try {
      const { Body, ETag, ContentLength } = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: this.#key, ...(known && { IfNoneMatch: known }) }),
      );
      if (!Body || !ETag) throw new Error(`${this.name} has no content`);
      // S3 always says the length; without it the text could have any.
      if ((ContentLength ?? Number.POSITIVE_INFINITY) > MAX_TEXT_BYTES)
        throw new Error(`${this.name} has more than ${MAX_TEXT_BYTES} bytes`);
      return { text: await Body.transformToString(), version: ETag };
    } catch (error) {
      if (statusOf(error) === 304) return undefined;
      if (!isRefusal(error, 'NoSuchKey')) throw error;
      const remedy = 'put an object there, with the line that `stowage user add NAME` prints';
      throw new MissingTextError(`${this.name} is not there: ${remedy}`, { cause: error });
    }
  }
}
