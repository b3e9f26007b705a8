// HEAD and GET of whole objects, which is what nearly every request to a registry comes down to, without the SDK: it
// spends 0.6 ms of CPU on each of them where this spends 0.12 (`npm run bench` shows what that does to manifests).
//
// Only the two plain answers are given here: this is the object, and there is no such object. Whatever else happens, the
// SDK asks again: it knows about retries, clocks that are off, buckets in other regions, and what errors mean.
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import aws4 from 'aws4';
import { type Bytes, concatBytes, decodeText } from '../streams/bytes.ts';
import type { Agents } from './s3-client.ts';

/** Of silence; then the SDK tries. */
const IDLE_TIMEOUT_MILLISECONDS = 5000;

/** Any key: it shows how the SDK spells the URL of an object. */
const SAMPLE_KEY = 'sample';

export type PlainAnswer = { headers: IncomingHttpHeaders; bytes: Bytes } | 'absent';

export class PlainReads {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #agents: Agents;
  #base: { region: string; url: URL } | undefined;

  constructor(client: S3Client, bucket: string, agents: Agents) {
    this.#client = client;
    this.#bucket = bucket;
    this.#agents = agents;
  }

  /**
   * One request.
   * @param key with the prefix that the bucket's keys have
   * @returns `undefined` if the SDK has to ask
   */
  async request(method: 'GET' | 'HEAD', key: string): Promise<PlainAnswer | undefined> {
    try {
      const { config } = this.#client;
      const [region, credentials] = await Promise.all([config.region(), config.credentials()]);
      const { protocol, host, hostname, port, pathname } = await this.#baseUrl(region);
      const signed = aws4.sign(
        {
          service: 's3',
          region,
          method,
          host,
          path: pathname + key.split('/').map(encodeKeyPart).join('/'),
          headers: { 'X-Amz-Date': amzDate(Date.now() + config.systemClockOffset) },
        },
        credentials,
      );
      const { path, headers } = signed;
      return await this.#exchange(protocol, { method, hostname, port, path, headers: { ...headers } });
    } catch {
      return undefined;
    }
  }

  /** Where the objects are: `https://bucket.s3.eu-west-1.amazonaws.com/`, or what else the client's options make of it. */
  async #baseUrl(region: string): Promise<URL> {
    if (this.#base?.region !== region) {
      const command = new GetObjectCommand({ Bucket: this.#bucket, Key: SAMPLE_KEY });
      const url = new URL('.', await getSignedUrl(this.#client, command));
      this.#base = { region, url };
    }
    return this.#base.url;
  }

  async #exchange(protocol: string, options: RequestOptions): Promise<PlainAnswer | undefined> {
    const isTls = protocol === 'https:';
    const request = isTls
      ? httpsRequest({ ...options, agent: this.#agents.https })
      : httpRequest({ ...options, agent: this.#agents.http });
    return await new Promise((resolve, reject) => {
      request.setTimeout(IDLE_TIMEOUT_MILLISECONDS, () => request.destroy(new Error('S3 is silent')));
      request.on('error', reject);
      request.on('response', (response) => readAnswer(response, options.method === 'HEAD').then(resolve, reject));
      request.end();
    });
  }
}

async function readAnswer(response: IncomingMessage, isHead: boolean): Promise<PlainAnswer | undefined> {
  const bytes = await new Promise<Bytes>((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    response.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve(concatBytes(chunks)));
  });
  const { statusCode, headers } = response;
  if (statusCode === 200) return { headers, bytes };
  // The bucket may be what is absent; an answer to HEAD does not say so, to nobody.
  const isAbsent = statusCode === 404 && (isHead || decodeText(bytes).includes('<Code>NoSuchKey</Code>'));
  return isAbsent ? 'absent' : undefined;
}

/** As the signature wants it: everything but the unreserved characters of RFC 3986. */
function encodeKeyPart(part: string): string {
  return encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `20261124T091500Z` */
function amzDate(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, '');
}
