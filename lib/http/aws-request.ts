// Requests to services of AWS other than S3, without their SDKs, each of which would double the size of a Lambda function.
import { S3Client } from '@aws-sdk/client-s3';
import aws4 from 'aws4';

const TIMEOUT_MS = 10_000;

const ARN = /^arn:(aws[a-z-]*):([a-z]+):([a-z0-9-]+):\d*:.+$/;

/** One service in one region. Requests are signed with the credentials of the environment, a profile or a role. */
export class AwsService {
  readonly #name: string;
  readonly #endpoint: URL;
  readonly #region: string;
  readonly #credentials: S3Client['config']['credentials'];

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
    // The S3 client is only used for its credentials.
    this.#credentials = new S3Client({ region }).config.credentials;
    this.#region = region;
  }

  /** @param path from `/` on. @throws Error if there is no answer within 10 s */
  async post(path: string, body: string, headers: Record<string, string>): Promise<Response> {
    const { host } = this.#endpoint;
    const request = { service: this.#name, region: this.#region, method: 'POST', host, path, headers, body };
    const signed = aws4.sign(request, await this.#credentials());
    return await fetch(new URL(path, this.#endpoint), {
      method: 'POST',
      headers: headersOf(signed.headers),
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  }
}

/** Without the headers that `fetch` sets itself, to the same values. */
function headersOf(signed: object | undefined): Record<string, string> {
  const own = Object.entries(signed ?? {}).filter(([name]) => !['host', 'content-length'].includes(name.toLowerCase()));
  return Object.fromEntries(own.map(([name, value]) => [name, String(value)]));
}
