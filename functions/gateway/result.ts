import type { APIGatewayProxyResult } from 'aws-lambda';

/**
 * Headers that the gateway renames or computes itself. It sends its own length; a length given here would reach clients as
 * `x-amzn-remapped-content-length`.
 */
const NOT_PASSED_ON = ['content-length', 'date', 'connection', 'transfer-encoding'];

/** Without a type the gateway would answer `application/json`. */
const UNTYPED = 'application/octet-stream';

/**
 * Makes the result that a REST API accepts from a Lambda function: only these five fields, and strings as header values.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
 */
export async function resultOf(response: Response): Promise<APIGatewayProxyResult> {
  const headers: Record<string, string> = { 'content-type': UNTYPED };
  for (const [name, value] of response.headers) {
    if (!NOT_PASSED_ON.includes(name)) headers[name] = value;
  }
  const body = Buffer.from(await response.arrayBuffer());
  return {
    statusCode: response.status,
    headers,
    // The API treats every type as binary, so that no byte of a manifest changes.
    body: body.toString('base64'),
    isBase64Encoded: true,
  };
}
