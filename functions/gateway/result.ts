import type { APIGatewayProxyResult } from 'aws-lambda';

/**
 * What the gateway would rename or count anew. It sends a length of its own, and clients would see ours beside it as
 * `x-amzn-remapped-content-length`.
 */
const NOT_PASSED_ON = ['content-length', 'date', 'connection', 'transfer-encoding'];

/** What the gateway would say of an answer without a type is `application/json`. */
const UNTYPED = 'application/octet-stream';

/**
 * An answer in the form that a REST API takes from a Lambda: those five fields alone, and text in every header.
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
    // Every type is binary to this API, so that no byte of a manifest changes on its way.
    body: body.toString('base64'),
    isBase64Encoded: true,
  };
}
