import { AwsService } from '../../http/aws-request.ts';
import { isJsonObject } from '../../model/json.ts';
import type { TextSource, VersionedText } from './text-source.ts';

export const INTERVAL_MS = 60_000;

const OK = 200;

const SECRET_ARN = /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d*:secret:.+$/;

/**
 * Reads a text from the `SecretString` of a secret in AWS Secrets Manager.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 */
export class SecretSource implements TextSource {
  readonly name: string;
  readonly intervalMs = INTERVAL_MS;
  readonly #service: AwsService;

  /** @param endpoint for tests, or another server than AWS; the environment variable is that of the AWS SDKs */
  constructor(arn: string, endpoint = process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER) {
    if (!SECRET_ARN.test(arn)) throw new Error(`${arn} is not the ARN of a secret`);
    this.name = arn;
    this.#service = new AwsService(arn, endpoint);
  }

  async read(known?: string): Promise<VersionedText | undefined> {
    const response = await this.#service.post('/', JSON.stringify({ SecretId: this.name }), {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'secretsmanager.GetSecretValue',
    });
    const answer: unknown = JSON.parse(response.body);
    if (response.status !== OK || !isJsonObject(answer))
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
