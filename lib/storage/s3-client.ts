import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';

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
/** Of silence in the middle of a request. Also ends a download whose reader does not read for so long. */
const IDLE_TIMEOUT_MILLISECONDS = 60_000;
/** Every upload takes up to three, every streamed download one; the SDK's 50 would make pulls wait for pushes. */
const MAX_SOCKETS = 256;

/** The connections to S3. */
export type Agents = { http: HttpAgent; https: HttpsAgent };

const FALLBACK_REGION = 'us-east-1';

export function createAgents(): Agents {
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS };
  return { http: new HttpAgent(options), https: new HttpsAgent(options) };
}

/** `region` is asked on every request, so that it may change once the bucket's own is known. */
export function createS3Client(options: S3DriverOptions, agents: Agents, region: () => Promise<string>): S3Client {
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
      socketTimeout: IDLE_TIMEOUT_MILLISECONDS,
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
