import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import { isFull } from './s3-errors.ts';

export type S3DriverOptions = {
  bucket: string;
  /** In front of all keys: '' or ending in `/`. */
  keyPrefix: string;
  /** Without it the SDK's own chain (`AWS_REGION`, the profile), else us-east-1 and where S3 redirects to. */
  region?: string;
  /** Of an S3 server that is not AWS, or of a VPC endpoint: `http://127.0.0.1:9000`. */
  endpoint?: string;
  /** The bucket in the path instead of in the host name; most servers other than AWS need it. */
  forcePathStyle?: boolean;
  /** Default true. An `endpoint` says it by its scheme instead. */
  useTls?: boolean;
  /** Without them the SDK's default chain: environment, profile, role of the function or the machine. */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** Asks S3 to encrypt what is stored, with keys of its own (SSE-S3). */
  encrypt?: boolean;
};

const MAX_ATTEMPTS = 5;
const CONNECT_TIMEOUT_MILLISECONDS = 5000;
/** Of silence of the server. */
export const IDLE_TIMEOUT_MILLISECONDS = 60_000;
const MAX_SOCKETS = 256;

/** Connections to S3. */
export type Agents = { http: HttpAgent; https: HttpsAgent };

const FALLBACK_REGION = 'us-east-1';

/** @param maxSockets requests beyond that wait for a connection, and fail if none is free within 5 s */
export function createAgents(maxSockets = MAX_SOCKETS): Agents {
  const options = { keepAlive: true, maxSockets };
  return { http: new HttpAgent(options), https: new HttpsAgent(options) };
}

/**
 * Clients of one bucket with connections of their own, so that transfers, whose pace clients set, never keep a small
 * request waiting. Those for transfers are made when they are first used.
 */
export class S3Clients {
  readonly #options: S3DriverOptions;
  readonly #region: () => Promise<string>;
  readonly agents = createAgents();
  /** An answer has said that the server has no room, since this was last set to false. */
  wasFull = false;
  /** For requests and answers that fit in memory. */
  readonly small: S3Client;
  #uploads: S3Client | undefined;
  #downloads: S3Client | undefined;

  /** @param region is asked on every request, so that it may change once the bucket's own is known */
  constructor(options: S3DriverOptions, region: () => Promise<string>) {
    this.#options = options;
    this.#region = region;
    this.small = this.#watch(
      createS3Client(options, this.agents, region, { socketTimeout: IDLE_TIMEOUT_MILLISECONDS }),
    );
  }

  /** For bodies of some size. Parts wait for one another here: a server takes them at its own pace. */
  get uploads(): S3Client {
    this.#uploads ??= this.#watch(
      createS3Client(this.#sharing(), createAgents(), this.#region, { socketTimeout: IDLE_TIMEOUT_MILLISECONDS }),
    );
    return this.#uploads;
  }

  /**
   * For objects that are passed on as they are read. Any number: callers bound them (`downloads_at_once`), and a request
   * that waited here would fail. A reader may pause for as long as it likes: silence of the server is told apart from
   * that by `streamReadable`.
   */
  get downloads(): S3Client {
    this.#downloads ??= createS3Client(this.#sharing(), createAgents(Infinity), this.#region, {
      socketTimeout: 0,
      requestTimeout: IDLE_TIMEOUT_MILLISECONDS, // until the headers have come
      throwOnRequestTimeout: true,
    });
    return this.#downloads;
  }

  destroy(): void {
    for (const client of [this.small, this.#uploads, this.#downloads]) client?.destroy();
  }

  #watch(client: S3Client): S3Client {
    client.middlewareStack.add(
      (next) => async (args) => {
        try {
          return await next(args);
        } catch (error) {
          if (isFull(error)) this.wasFull = true;
          throw error;
        }
      },
      { name: 'watchRoom', step: 'initialize' },
    );
    return client;
  }

  /** Credentials are looked up and renewed once for all. */
  #sharing(): ClientOptions {
    return { ...this.#options, credentials: this.small.config.credentials };
  }
}

type ClientOptions = Omit<S3DriverOptions, 'credentials'> & Pick<S3ClientConfig, 'credentials'>;

type Timeouts = Pick<NodeHttpHandlerOptions, 'socketTimeout' | 'requestTimeout' | 'throwOnRequestTimeout'>;

function createS3Client(
  options: ClientOptions,
  agents: Agents,
  region: () => Promise<string>,
  timeouts: Timeouts,
): S3Client {
  const config: S3ClientConfig = {
    region,
    followRegionRedirects: options.region === undefined,
    forcePathStyle: options.forcePathStyle ?? false,
    maxAttempts: MAX_ATTEMPTS,
    retryMode: 'standard',
    // By default the SDK adds CRC32 checksums, in trailers for streams, which other S3 servers do not all understand, and
    // checks those of downloads. Nothing is lost: every body is signed or given a SHA-256, and digests are checked by us.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // By default every body from 2 MiB on waits for a 100, on a connection of its own that is closed afterwards.
    expectContinueHeader: false,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECT_TIMEOUT_MILLISECONDS,
      ...timeouts,
      httpAgent: agents.http,
      httpsAgent: agents.https,
    }),
  };
  if (options.endpoint !== undefined) config.endpoint = options.endpoint;
  if (options.credentials) config.credentials = options.credentials;
  const client = new S3Client(config);
  if (options.useTls === false && options.endpoint === undefined) usePlainHttp(client);
  return client;
}

/** The SDK's own `tls: false` changes nothing: its endpoint rules always say https. */
function usePlainHttp(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const { request } = args;
      if (typeof request === 'object' && request !== null && 'protocol' in request) request.protocol = 'http:';
      return await next(args);
    },
    { name: 'usePlainHttp', step: 'build' },
  );
}

/** What the environment or the profile says. */
export async function regionOfEnvironment(): Promise<string> {
  const client = new S3Client({});
  try {
    return await client.config.region();
  } catch {
    return FALLBACK_REGION; // the SDK's way to say that there is none
  } finally {
    client.destroy();
  }
}
