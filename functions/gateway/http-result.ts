import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';

/** Headers that have a field of their own in the result, or that the gateway computes. */
const NOT_PASSED_ON = ['set-cookie', 'content-length', 'date', 'connection', 'transfer-encoding'];

/**
 * Makes the result that an HTTP API accepts, in the payload format 2.0. In base64, 4.4 MiB of a body fit into the 6 MB of a result.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export async function httpResultOf(response: Response): Promise<APIGatewayProxyStructuredResultV2> {
  const headers = [...response.headers].filter(([name]) => !NOT_PASSED_ON.includes(name));
  return {
    statusCode: response.status,
    headers: Object.fromEntries(headers),
    cookies: response.headers.getSetCookie(),
    body: Buffer.from(await response.arrayBuffer()).toString('base64'),
    isBase64Encoded: true,
  };
}
