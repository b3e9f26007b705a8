import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEvent } from 'aws-lambda';
import type { RestApi } from './rest-api.ts';
import type { Route } from './routes.ts';
import { ACCOUNT } from './template.ts';

export type GatewayRequest = {
  method: string;
  host: string;
  /** `https` on AWS; here what clients really speak. */
  scheme: string;
  /** Percent-encoded, with the stage, as it came. */
  fullPath: string;
  stage: string;
  /** Without the stage. */
  path: string;
  query: string;
  /** Node's list of names and values in turn. */
  rawHeaders: readonly string[];
  body: Buffer;
  /** Where the connection comes from. */
  clientAddress: string;
};

/**
 * Never reach an integration: localstack's header_utils.py, whose tests run against AWS.
 * https://github.com/localstack/localstack/blob/044a55b/localstack-core/localstack/services/apigateway/next_gen/execute_api/header_utils.py
 */
const DROPPED = new Set([
  'connection',
  'content-length',
  'content-md5',
  'expect',
  'max-forwards',
  'proxy-authenticate',
  'server',
  'te',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'www-authenticate',
]);

/** Come with capitals, however they were sent; all others as they were. (Same source.) */
const CAPITALISED: Record<string, string> = {
  authorization: 'Authorization',
  'user-agent': 'User-Agent',
  host: 'Host',
};

type Context = APIGatewayProxyEvent['requestContext'];

/**
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format
 * Paths stay percent-encoded and the context's has the stage in front, as seen live in
 * https://github.com/hotsock/voker/blob/2785c1d/vokerhttp/testdata/apigwv1-request.json
 */
export function eventOf(
  request: GatewayRequest,
  { resource, proxy }: Route,
  api: RestApi,
  authorizer: Record<string, string | number | boolean> | null,
): APIGatewayProxyEvent {
  const { method, host, path, body } = request;
  const multiValueHeaders = headersOf(request);
  const query = queryOf(request.query);
  const isBinary = isBinaryType(multiValueHeaders, api.binaryMediaTypes);
  return {
    resource,
    path,
    httpMethod: method,
    headers: lastOf(multiValueHeaders),
    multiValueHeaders,
    queryStringParameters: query && lastOf(query),
    multiValueQueryStringParameters: query,
    pathParameters: proxy === undefined ? null : { proxy },
    stageVariables: null,
    requestContext: {
      accountId: ACCOUNT,
      apiId: 'restapi-id',
      authorizer,
      domainName: host,
      domainPrefix: host.split('.')[0] ?? '',
      extendedRequestId: randomUUID(),
      httpMethod: method,
      identity: {
        sourceIp: request.clientAddress,
        userAgent: multiValueHeaders['User-Agent']?.[0] ?? null,
      } as Context['identity'],
      path: request.fullPath,
      protocol: 'HTTP/1.1',
      requestId: randomUUID(),
      requestTimeEpoch: Date.now(),
      resourceId: 'resource',
      resourcePath: resource,
      stage: request.stage,
    },
    body: body.length === 0 ? null : body.toString(isBinary ? 'base64' : 'utf8'),
    isBase64Encoded: body.length > 0 && isBinary,
  };
}

export function headersOf({ rawHeaders, host, scheme, clientAddress }: GatewayRequest): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const lower = name.toLowerCase();
    if (DROPPED.has(lower)) continue;
    const known = CAPITALISED[lower] ?? name;
    headers[known] = [...(headers[known] ?? []), rawHeaders[i + 1] ?? ''];
  }
  const forwardedFor = Object.entries(headers).filter(([name]) => name.toLowerCase() === 'x-forwarded-for');
  for (const [name] of forwardedFor) delete headers[name];
  // Headers that the gateway sets; it replaces those of the client, and appends to the first:
  // https://github.com/logandk/serverless-wsgi/issues/36
  return {
    ...headers,
    Host: [host],
    'X-Forwarded-For': [[...forwardedFor.flatMap(([, values]) => values), clientAddress].join(', ')],
    'X-Forwarded-Port': [scheme === 'https' ? '443' : '80'],
    'X-Forwarded-Proto': [scheme],
    'X-Amzn-Trace-Id': [`Root=1-${randomUUID()}`],
  };
}

/**
 * Decoded, `+` as a space; repeated names in order, but not their order among others; `;` parts as `&` does. (Capture and
 * localstack as above.)
 */
export function queryOf(query: string): Record<string, string[]> | null {
  if (query === '') return null;
  const values: Record<string, string[]> = {};
  for (const part of query.split(/[&;]/)) {
    if (part === '') continue;
    const [name = '', ...rest] = part.split('=');
    const key = decoded(name);
    values[key] = [...(values[key] ?? []), decoded(rest.join('='))];
  }
  return values;
}

function decoded(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function lastOf(values: Record<string, string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, list]) => [name, list.at(-1) ?? '']));
}

/**
 * A body whose type is not in the list arrives as text, and bytes that are not UTF-8 are lost.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html
 */
function isBinaryType(headers: Record<string, string[]>, binaryMediaTypes: string[]): boolean {
  const [, [value = ''] = []] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type') ?? [];
  // Without a type it is taken for JSON: "important notes", https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
  const type = value.split(';')[0]?.trim() || 'application/json';
  return binaryMediaTypes.includes('*/*') || binaryMediaTypes.includes(type);
}
