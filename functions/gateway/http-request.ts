import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/** What of the event names the client and its request, for `addressOf` and `originOf` too. */
export type HttpEvent = Pick<
  APIGatewayProxyEventV2,
  'body' | 'cookies' | 'headers' | 'isBase64Encoded' | 'rawPath' | 'rawQueryString'
> & {
  requestContext: {
    domainName: string;
    requestId: string;
    http: Pick<APIGatewayProxyEventV2['requestContext']['http'], 'method' | 'sourceIp'>;
  };
};

/**
 * Makes a Request of an event of an HTTP API, in the payload format 2.0.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 * @param origin by which the client reaches the API
 */
export function httpRequestOf(event: HttpEvent, origin: string): Request {
  const { requestContext, rawPath, rawQueryString, cookies, isBase64Encoded } = event;
  const { method } = requestContext.http;
  const headers = new Headers();
  // Cookies are in no header of the event. Those of other hosts of the domain do not take the session's with them.
  const given = { ...event.headers, ...(cookies && { cookie: cookies.filter(isSendable).join('; ') }) };
  for (const [name, value] of Object.entries(given)) if (value && isSendable(value)) headers.set(name, value);
  const hasBody = event.body !== undefined && method !== 'GET' && method !== 'HEAD';
  const body = hasBody ? Buffer.from(event.body ?? '', isBase64Encoded ? 'base64' : 'utf8') : undefined;
  if (body) headers.set('Content-Length', String(body.length));
  if (!headers.has('X-Request-Id')) headers.set('X-Request-Id', requestContext.requestId);
  const query = rawQueryString === '' ? '' : `?${rawQueryString}`;
  return new Request(`${origin}${encoded(rawPath)}${query}`, { method, headers, ...(body && { body }) });
}

/** `Headers` throws for these. A header that has one, which a client may have sent as UTF-8, is left out. */
const UNSENDABLE = /[\0\r\n]|[^\0-\xff]/;

function isSendable(value: string): boolean {
  return !UNSENDABLE.test(value);
}

/**
 * The path as it is in a URL. The gateway decodes it, as seen in
 * https://github.com/hotsock/voker/blob/7e39761/vokerhttp/testdata/apigwv2-request.json; what is percent-encoded all the same stays.
 */
function encoded(path: string): string {
  return path.replace(/%(?![0-9A-Fa-f]{2})|[^%/:@!$&'()*+,;=\w.~-]/gu, encodeURIComponent);
}
