import type { APIGatewayProxyEvent, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { forwardedFor } from '../../lib/forwarded-for.ts';

/**
 * Where a client is. The gateway is the first of the trusted proxies and says itself whom it has seen, which is CloudFront
 * where that stands in front; then X-Forwarded-For, at whose end the gateway writes the same, has the client before it.
 * https://github.com/logandk/serverless-wsgi/issues/36, https://github.com/asfadmin/thin-egress-app/issues/380
 */
export function clientAddressOf(
  { multiValueHeaders, requestContext }: Pick<APIGatewayProxyEvent | APIGatewayRequestAuthorizerEvent, Read>,
  trustedProxies: number,
): string {
  const { sourceIp } = requestContext.identity;
  if (trustedProxies < 2) return sourceIp;
  const chain = Object.entries(multiValueHeaders ?? {})
    .filter(([name]) => name.toLowerCase() === 'x-forwarded-for')
    .flatMap(([, values]) => values ?? []);
  return forwardedFor(chain.join(','), trustedProxies) ?? sourceIp;
}

type Read = 'multiValueHeaders' | 'requestContext';
