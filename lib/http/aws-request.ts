// Requests to services of AWS other than S3, without their SDKs, each of which would double the size of a Lambda function; and without
// `fetch`, whose first call takes longer than all else that an instance does at its start.
import { hash } from 'node:crypto';
import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { type Credentials, credentialsOfEnvironment } from '../storage/aws-environment.ts';
import { AwsSigner } from '../storage/aws-signature.ts';

const TIMEOUT_MS = 10_000;

const ARN = /^arn:(aws[a-z-]*):([a-z]+):([a-z0-9-]+):\d*:.+$/;

export type AwsAnswer = { status: number; body: string };

/** One service in one region. Requests are signed with the credentials of the environment, a profile or a role. */
export class AwsService {
  readonly #signer: AwsSigner;
  readonly #endpoint: URL;
  readonly #region: string;
  #sdkCredentials: Promise<() => Promise<Credentials>> | undefined;

  /**
   * @param arn of the resource that requests are about; it names the service and its region
   * @param endpoint for tests, or another server than AWS
   * @throws Error if `arn` is no ARN of a regional service
   */
  constructor(arn: string, endpoint: string | undefined) {
    const [, partition, name, region] = ARN.exec(arn) ?? [];
    if (!name || !region) throw new Error(`${arn} is not the ARN of a resource in a region`);
    const domain = partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com';
    this.#signer = new AwsSigner(name);
    this.#endpoint = new URL(endpoint ?? `https://${name}.${region}.${domain}`);
    this.#region = region;
  }

  /**
   * @param path from `/` on, of characters that are not percent-encoded
   * @param headers with names in lower case
   * @throws Error if there is no answer within 10 s
   */
  async post(path: string, body: string, headers: Record<string, string>): Promise<AwsAnswer> {
    const url = new URL(path, this.#endpoint);
    const sized = { ...headers, 'content-length': String(Buffer.byteLength(body)) };
    const request = { method: 'POST', host: url.host, path: url.pathname, headers: sized };
    const signing = { region: this.#region, credentials: await this.#credentials(), timeMs: Date.now() };
    return await post(url, body, this.#signer.headersOf(request, hash('sha256', body), signing));
  }

  async #credentials(): Promise<Credentials> {
    const found = credentialsOfEnvironment();
    if (found) return found;
    const region = this.#region;
    this.#sdkCredentials ??= import('../storage/s3-client.ts').then(({ credentialsOfSdk }) => credentialsOfSdk(region));
    return await (await this.#sdkCredentials)();
  }
}

async function post(url: URL, body: string, headers: OutgoingHttpHeaders): Promise<AwsAnswer> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return await new Promise((resolve, reject) => {
    const request = send(url, { method: 'POST', headers, signal }, (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject);
    });
    request.on('error', reject).end(body);
  });
}
