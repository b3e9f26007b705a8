// One request of AWS Secrets Manager, without its SDK, which would double the size of the Lambda function.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
import { S3Client } from '@aws-sdk/client-s3';
import aws4 from 'aws4';
import { isJsonObject } from '../../model/json.ts';
import type { TextSource, VersionedText } from './text-source.ts';

export const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 10_000;

const ARN = /^arn:(aws[a-z-]*):secretsmanager:([a-z0-9-]+):\d*:secret:.+$/;

/** Reads a text from the `SecretString` of a secret. */
export class SecretSource implements TextSource {
  readonly name: string;
  readonly intervalMs = INTERVAL_MS;
  readonly #endpoint: URL;
  readonly #region: string;
  readonly #credentials: S3Client['config']['credentials'];

  /** @param endpoint for tests, or another server than AWS; the environment variable is that of the AWS SDKs */
  constructor(arn: string, endpoint = process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER) {
    const [, partition, region] = ARN.exec(arn) ?? [];
    if (!region) throw new Error(`${arn} is not the ARN of a secret`);
    this.name = arn;
    const domain = partition === 'aws-cn' ? 'amazonaws.com.cn' : 'amazonaws.com';
    this.#endpoint = new URL(endpoint ?? `https://secretsmanager.${region}.${domain}`);
    // The S3 client is only used for its credentials: from the environment, a profile or a role.
    this.#credentials = new S3Client({ region }).config.credentials;
    this.#region = region;
  }

  async read(known?: string): Promise<VersionedText | undefined> {
    const { host, pathname: path } = this.#endpoint;
    const body = JSON.stringify({ SecretId: this.name });
    const { headers } = aws4.sign(
      {
        service: 'secretsmanager',
        region: this.#region,
        method: 'POST',
        host,
        path,
        headers: { 'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': 'secretsmanager.GetSecretValue' },
        body,
      },
      await this.#credentials(),
    );
    const response = await fetch(this.#endpoint, {
      method: 'POST',
      headers: headersOf(headers),
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer: unknown = await response.json();
    if (!response.ok || !isJsonObject(answer))
      throw new Error(`Secrets Manager refuses ${this.name}: ${kindOf(answer)}`);
    const { SecretString: text, VersionId: version } = answer;
    if (typeof text !== 'string' || typeof version !== 'string') throw new Error(`${this.name} has no SecretString`);
    return version === known ? undefined : { text, version };
  }
}

/** Only the type of the error, since its message may quote the request. */
function kindOf(answer: unknown): string {
  return isJsonObject(answer) && typeof answer.__type === 'string' ? answer.__type : 'no reason given';
}

/** Without the headers that `fetch` sets itself, to the same values. */
function headersOf(signed: object | undefined): Record<string, string> {
  const own = Object.entries(signed ?? {}).filter(([name]) => !['host', 'content-length'].includes(name.toLowerCase()));
  return Object.fromEntries(own.map(([name, value]) => [name, String(value)]));
}
