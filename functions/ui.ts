// The web pages behind an HTTP API of API Gateway. Opened once per instance.
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { ClientBindings } from '../lib/http/client-address.ts';
import type { OriginBindings } from '../lib/http/request.ts';
import { openPages } from '../lib/server/open-pages.ts';
import { openRegistry } from '../lib/server/open-registry.ts';
import { openStorage } from '../lib/storage/open.ts';
import { readConfiguration } from './configuration.ts';
import { cameByEdge, EDGE_HEADER } from './edge.ts';
import { httpClientAddressOf } from './gateway/client-address.ts';
import { type HttpEvent, httpRequestOf } from './gateway/http-request.ts';
import { httpResultOf } from './gateway/http-result.ts';

const { config, log } = await readConfiguration();
const driver = await openStorage(config.storage, { verifies: false });
const app = await openPages({ ...config, storageRedirect: true }, await openRegistry(config, { log, driver }), { log });

export const handler = async (event: HttpEvent): Promise<APIGatewayProxyStructuredResultV2> => {
  const origin = originOf(event);
  const bindings: ClientBindings & OriginBindings = {
    clientAddress: httpClientAddressOf(event, config.trustedProxies),
    reached: () => ({ origin, authority: new URL(origin).host, isCertain: true }),
  };
  return await httpResultOf(await app.fetch(httpRequestOf(event, origin), bindings));
};

/** CloudFront sends the API's own host in place of the host of `public_url` that the browser requested. The gateway takes HTTPS only. */
function originOf({ headers, requestContext: { domainName } }: HttpEvent): string {
  const { publicUrl } = config;
  return new URL(publicUrl && cameByEdge(headers[EDGE_HEADER]) ? publicUrl : `https://${domainName}`).origin;
}
