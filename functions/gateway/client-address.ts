import type { APIGatewayProxyEvent, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { forwardedFor } from '../../lib/http/forwarded-for.ts';
import { cameByEdge, EDGE_HEADER } from '../edge.ts';
import type { HttpEvent } from './http-request.ts';

/**
 * The client's address. The gateway is the first trusted proxy; its event names the peer it saw, which is CloudFront where
 * that is in front. X-Forwarded-For ends with the same peer, and has the client's address before it.
 * https://github.com/logandk/serverless-wsgi/issues/36, https://github.com/asfadmin/thin-egress-app/issues/380
 */
export function clientAddressOf(event: Asked, trustedProxies: number, edgeKey = process.env.EDGE_KEY): string {
  const { sourceIp } = event.requestContext.identity;
  if (trustedProxies < 2 || !cameByEdge(valuesOf(event, EDGE_HEADER).at(-1), edgeKey)) return sourceIp;
  return forwardedFor(valuesOf(event, 'x-forwarded-for').join(','), trustedProxies) ?? sourceIp;
}

/** As `clientAddressOf`, for an event of an HTTP API. */
export function httpClientAddressOf(
  { headers, requestContext }: Pick<HttpEvent, 'headers' | 'requestContext'>,
  trustedProxies: number,
  edgeKey = process.env.EDGE_KEY,
): string {
  const { sourceIp } = requestContext.http;
  if (trustedProxies < 2 || !cameByEdge(headers[EDGE_HEADER], edgeKey)) return sourceIp;
  return forwardedFor(headers['x-forwarded-for'], trustedProxies) ?? sourceIp;
}

type Asked = Pick<APIGatewayProxyEvent | APIGatewayRequestAuthorizerEvent, 'multiValueHeaders' | 'requestContext'>;

function valuesOf({ multiValueHeaders }: Asked, wanted: string): string[] {
  return Object.entries(multiValueHeaders ?? {}).flatMap(([name, values]) =>
    name.toLowerCase() === wanted ? (values ?? []) : [],
  );
}
