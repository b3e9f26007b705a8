import type { APIGatewayProxyEvent } from 'aws-lambda';
import { KiB } from '../../lib/streams/bytes.ts';

/**
 * A Lambda event has at most 6,291,556 bytes and holds the body in base64 beside the headers: 4.4 MiB always fit.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
export const MAX_BODY_BYTES = 4505 * KiB;

/**
 * Makes a Request of an event of a REST API.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format
 */
export function requestOf(event: APIGatewayProxyEvent): Request {
  const { httpMethod: method, requestContext } = event;
  const headers = headersOf(event);
  const body = event.body === null ? undefined : Buffer.from(event.body, event.isBase64Encoded ? 'base64' : 'utf8');
  // The gateway drops Content-Length. The body is complete here, so its length is known.
  if (body) headers.set('Content-Length', String(body.length));
  if (!headers.has('X-Request-Id')) headers.set('X-Request-Id', requestContext.requestId);
  const scheme = headers.get('X-Forwarded-Proto') ?? 'https';
  // Not `event.path`: on the API's own domain it lacks the stage, the first component of the path that the client requested.
  const url = `${scheme}://${requestContext.domainName ?? headers.get('Host')}${requestContext.path}${queryOf(event)}`;
  return new Request(url, { method, headers, ...(body && takesBody(method) && { body }) });
}

function takesBody(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

function headersOf({ multiValueHeaders, headers }: APIGatewayProxyEvent): Headers {
  const result = new Headers();
  for (const [name, values] of Object.entries(multiValueHeaders ?? {})) {
    for (const value of values ?? []) result.append(name, headerText(value));
  }
  // Test events of the console have only `headers`.
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value && !result.has(name)) result.set(name, headerText(value));
  }
  return result;
}

/** A value as Node's server gives it, with one character for each byte, since `Headers` takes no others. The event may have it in UTF-8. */
function headerText(value: string): string {
  return /[^\0-\xff]/.test(value) ? Buffer.from(value).toString('latin1') : value;
}

/** The gateway has decoded the values. Repeated names are only in `multiValueQueryStringParameters`. */
function queryOf({ multiValueQueryStringParameters, queryStringParameters }: APIGatewayProxyEvent): string {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(multiValueQueryStringParameters ?? {})) {
    for (const value of values ?? []) query.append(name, value);
  }
  for (const [name, value] of Object.entries(queryStringParameters ?? {})) {
    if (!query.has(name)) query.set(name, value ?? '');
  }
  return query.size > 0 ? `?${query}` : '';
}
