import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import type { Credentials } from './aws-environment.ts';
import { type Agents, createAgents } from './s3-agents.ts';
import { sendInBlocks } from './s3-chunked-body.ts';
import { isFull } from './s3-errors.ts';

export type S3DriverOptions = {
  bucket: string;
  /** What all keys begin with: '' or ending in `/`. */
  keyPrefix: string;
  /** Default: as the SDK finds it (`AWS_REGION`, the profile), else us-east-1, with S3's redirects followed. */
  region?: string;
  /** The URL of an S3 server other than AWS, or of a VPC endpoint: `http://127.0.0.1:9000`. */
  endpoint?: string;
  /** The bucket is named in the path, not in the host name. Most servers other than AWS need it. Default: false. */
  forcePathStyle?: boolean;
  /** Default: true. With an `endpoint`, its scheme decides. */
  useTls?: boolean;
  /** Default: as the SDK finds them: environment, profile, role of the function or the machine. */
  credentials?: Credentials;
  /** S3 encrypts new objects with its own keys (SSE-S3). Default: as the bucket is set up. */
  encrypt?: boolean;
};

const MAX_ATTEMPTS = 5;
const CONNECT_TIMEOUT_MILLISECONDS = 5000;
/** How long a request waits while the server sends and takes nothing. */
export const IDLE_TIMEOUT_MILLISECONDS = 60_000;

const FALLBACK_REGION = 'us-east-1';

/**
 * The SDK's clients for one bucket, each with its own connections, so that transfers, whose pace the registry's clients set,
 * do not delay small requests. The clients for transfers are made on first use.
 */
export class S3Clients {
  readonly #options: S3DriverOptions;
  readonly #region: () => Promise<string>;
  readonly #agents: Agents;
  /** True once the server has refused an object because it is full. `checkRoom` resets it. */
  wasFull = false;
  /** For requests and responses that fit in memory. */
  readonly small: S3Client;
  #once: S3Client | undefined;
  #uploads: S3Client | undefined;
  #downloads: S3Client | undefined;

  /**
   * @param agents for small requests
   * @param region is called for every request, so that the region may change once the bucket's own is known
   */
  constructor(options: S3DriverOptions, agents: Agents, region: () => Promise<string>) {
    this.#options = options;
    this.#agents = agents;
    this.#region = region;
    this.small = this.#watch(createS3Client(options, agents, region, { socketTimeout: IDLE_TIMEOUT_MILLISECONDS }));
  }

  /** For requests that must not be repeated. */
  get once(): S3Client {
    this.#once ??= createS3Client(
      this.#withSharedCredentials(),
      this.#agents,
      this.#region,
      { socketTimeout: IDLE_TIMEOUT_MILLISECONDS },
      1,
    );
    return this.#once;
  }

  /** For large request bodies. */
  get uploads(): S3Client {
    this.#uploads ??= this.#createUploads();
    return this.#uploads;
  }

  #createUploads(): S3Client {
    const timeouts = { socketTimeout: IDLE_TIMEOUT_MILLISECONDS };
    const client = createS3Client(this.#withSharedCredentials(), createAgents(), this.#region, timeouts);
    sendInBlocks(client);
    return this.#watch(client);
  }

  /**
   * For objects that are streamed to clients. The number of connections is unlimited, as `downloads_at_once` limits the
   * transfers, and a request that waited for a connection would fail. There is no timeout between chunks, as a client may
   * pause: `streamReadable` detects a server that sends nothing.
   */
  get downloads(): S3Client {
    this.#downloads ??= createS3Client(this.#withSharedCredentials(), createAgents(Infinity), this.#region, {
      socketTimeout: 0,
      requestTimeout: IDLE_TIMEOUT_MILLISECONDS, // until the headers of the response
      throwOnRequestTimeout: true,
    });
    return this.#downloads;
  }

  destroy(): void {
    for (const client of [this.small, this.#once, this.#uploads, this.#downloads]) client?.destroy();
  }

  /** Sets `wasFull` when a request fails because the server is full. */
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

  /** The options with the credentials of the first client, which are found and renewed once for all clients. */
  #withSharedCredentials(): ClientOptions {
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
  maxAttempts = MAX_ATTEMPTS,
): S3Client {
  const config: S3ClientConfig = {
    region,
    followRegionRedirects: options.region === undefined,
    forcePathStyle: options.forcePathStyle ?? false,
    maxAttempts,
    retryMode: 'standard',
    // By default the SDK sends CRC32 checksums, in trailers of streams, which some other S3 servers do not understand, and
    // checks those of downloads. They are not needed: bodies are signed, or `S3Upload` sends a checksum, and digests are verified.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // By default every body of 2 MiB or more waits for `100 Continue`, on a connection that is closed afterwards.
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

/** The SDK's option `tls: false` has no effect, as its endpoint rules always give https. */
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

/** As the SDK finds it: the region that a configured pseudo region stands for, or that of the profile, else us-east-1. */
export async function regionOfSdk(configured?: string): Promise<string> {
  const client = new S3Client(configured === undefined ? {} : { region: configured });
  try {
    return await client.config.region();
  } catch {
    return FALLBACK_REGION; // the SDK throws if there is none
  } finally {
    client.destroy();
  }
}

/** The credentials as the SDK finds them: profile, role of the function or the machine. They are renewed in time. */
export function credentialsOfSdk(region: string): () => Promise<Credentials> {
  return new S3Client({ region }).config.credentials;
}
