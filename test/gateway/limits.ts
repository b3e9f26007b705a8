// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html

/** Of a request's body, as it comes. */
export const MAX_PAYLOAD_BYTES = 10 * 1024 * 1024;

/** Of the request line and all headers together. */
export const MAX_HEADERS_BYTES = 10_240;

/** Of the ARN that an authorizer is asked about, in which the path is. */
export const MAX_METHOD_ARN_BYTES = 1600;

/** Of a resource in the policy that it answers with. */
export const MAX_POLICY_RESOURCE_LENGTH = 512;

/**
 * Of an event of Lambda and of its result, as JSON.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; to the byte:
 * https://zaccharles.medium.com/deep-dive-lambdas-request-payload-size-limit-2-2-6350c1ae5577
 */
export const MAX_EVENT_BYTES = 6 * 1024 * 1024;
export const MAX_RESULT_BYTES = 6 * 1024 * 1024 + 100;

/** What a request line and headers take. `raw` is Node's list of names and values in turn. */
export function headersBytes(requestLine: string, raw: readonly string[]): number {
  return raw.reduce((sum, text) => sum + Buffer.byteLength(text) + 2, Buffer.byteLength(requestLine) + 2);
}
