// Requests to services of AWS other than S3, without their SDKs, each of which would double the size of a Lambda function; and without
// `fetch`, whose first call takes longer than all else that an instance does at its start.
import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import aws4 from 'aws4';
import { type Credentials, credentialsOfEnvironment } from '../storage/aws-environment.ts';

const TIMEOUT_MS = 10_000;

const ARN = /^arn:(aws[a-z-]*):([a-z]+):([a-z0-9-]+):\d*:.+$/;

export type AwsAnswer = { status: number; body: string };

/** One service in one region. Requests are signed with the credentials of the environment, a profile or a role. */
export class AwsService {
  readonly #name: string;
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
    this.#name = name;
    this.#endpoint = new URL(endpoint ?? `https://${name}.${region}.${domain}`);
    this.#region = region;
  }

  /** @param path from `/` on. @throws Error if there is no answer within 10 s */
  async post(path: string, body: string, headers: Record<string, string>): Promise<AwsAnswer> {
    const { host } = this.#endpoint;
    const request = { service: this.#name, region: this.#region, method: 'POST', host, path, headers, body };
    const signed = aws4.sign(request, await this.#credentials());
    return await post(new URL(path, this.#endpoint), body, { ...signed.headers });
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
