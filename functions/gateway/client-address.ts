import type { APIGatewayProxyEvent, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { forwardedFor } from '../../lib/http/forwarded-for.ts';
import { cameByEdge, EDGE_HEADER } from '../edge.ts';

/**
 * Where a client is. The gateway is the first of the trusted proxies and says itself whom it has seen, which is CloudFront
 * where that stands in front; then X-Forwarded-For, at whose end the gateway writes the same, has the client before it.
 * https://github.com/logandk/serverless-wsgi/issues/36, https://github.com/asfadmin/thin-egress-app/issues/380
 */
export function clientAddressOf(event: Asked, trustedProxies: number, edgeKey = process.env.EDGE_KEY): string {
  const { sourceIp } = event.requestContext.identity;
  if (trustedProxies < 2 || !cameByEdge(valuesOf(event, EDGE_HEADER).at(-1), edgeKey)) return sourceIp;
  return forwardedFor(valuesOf(event, 'x-forwarded-for').join(','), trustedProxies) ?? sourceIp;
}

type Asked = Pick<APIGatewayProxyEvent | APIGatewayRequestAuthorizerEvent, 'multiValueHeaders' | 'requestContext'>;

function valuesOf({ multiValueHeaders }: Asked, wanted: string): string[] {
  return Object.entries(multiValueHeaders ?? {}).flatMap(([name, values]) =>
    name.toLowerCase() === wanted ? (values ?? []) : [],
  );
}
