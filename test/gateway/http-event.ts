import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { ACCOUNT } from './template.ts';

export type HttpRequest = {
  method: string;
  /** Path and query as they came. */
  url: string;
  host: string;
  /** Node's list of names and values in turn. */
  rawHeaders: readonly string[];
  body: Buffer;
  /** Where the connection comes from. */
  clientAddress: string;
};

/** In a field of their own, or of the connection. */
const NOT_IN_HEADERS = new Set(['cookie', 'connection', 'expect', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

/** Bodies of other types come in base64, among them forms. */
const TEXT = /^(?:text\/|application\/(?:json|javascript|xml)\b|[^;]+\+(?:json|xml)\b)/;

/**
 * The payload format 2.0: lower-case names, repeated headers and parameters joined by commas, cookies apart, the query as it came.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 * The path is decoded, and cut at a `?` that was encoded, as seen in
 * https://github.com/hotsock/voker/blob/7e39761/vokerhttp/testdata/apigwv2-request.json
 */
export function httpEventOf({
  method,
  url,
  host,
  rawHeaders,
  body,
  clientAddress,
}: HttpRequest): APIGatewayProxyEventV2 {
  const [path = '/', ...rest] = url.split('?');
  const rawPath = decodeURIComponent(path).split('?')[0] ?? '/';
  const rawQueryString = rest.join('?');
  const sent = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    sent.set(name, [...(sent.get(name) ?? []), rawHeaders[at + 1] ?? '']);
  }
  const headers = Object.fromEntries(
    [...sent].filter(([name]) => !NOT_IN_HEADERS.has(name)).map(([name, values]) => [name, values.join(',')]),
  );
  const cookies = (sent.get('cookie') ?? []).flatMap((line) => line.split(';')).map((cookie) => cookie.trim());
  const isText = TEXT.test(headers['content-type'] ?? 'application/json');
  const parameters = [...new URLSearchParams(rawQueryString).keys()];
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    ...(cookies.length > 0 && { cookies }),
    headers: {
      ...headers,
      host,
      'content-length': String(body.length),
      'x-amzn-trace-id': `Root=1-${randomUUID()}`,
      'x-forwarded-for': [...(sent.get('x-forwarded-for') ?? []), clientAddress].join(', '),
      'x-forwarded-port': '443',
      'x-forwarded-proto': 'https',
    },
    ...(parameters.length > 0 && {
      queryStringParameters: Object.fromEntries(
        parameters.map((name) => [name, new URLSearchParams(rawQueryString).getAll(name).join(',')]),
      ),
    }),
    requestContext: {
      accountId: ACCOUNT,
      apiId: 'pagesapi-id',
      domainName: host,
      domainPrefix: host.split('.')[0] ?? '',
      http: {
        method,
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: clientAddress,
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: '$default',
      stage: '$default',
      time: new Date().toUTCString(),
      timeEpoch: Date.now(),
    },
    ...(body.length > 0 && { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !isText,
  };
}
