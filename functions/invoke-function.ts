import { AwsService } from '../lib/http/aws-request.ts';

const FUNCTION_ARN = /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d+:function:([A-Za-z0-9_-]+)/;

/** What Lambda answers where it has queued an event. */
const ACCEPTED = 202;

/**
 * Invokes a Lambda function without waiting for it.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 * @param event what its handler gets
 * @throws Error if Lambda refuses
 */
export async function invokeFunction(
  arn: string,
  event: object,
  endpoint = process.env.AWS_ENDPOINT_URL_LAMBDA,
): Promise<void> {
  const [, name] = FUNCTION_ARN.exec(arn) ?? [];
  if (name === undefined) throw new Error(`${arn} is not the ARN of a function`);
  const service = new AwsService(arn, endpoint);
  const path = `/2015-03-31/functions/${name}/invocations`;
  const response = await service.post(path, JSON.stringify(event), { 'x-amz-invocation-type': 'Event' });
  if (response.status !== ACCEPTED) throw new Error(`Lambda refuses to invoke ${arn}: ${response.status}`);
}
