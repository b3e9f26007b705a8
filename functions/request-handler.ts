// v1 and v2, behind API Gateway, whose authorizer says who sends a request. Opened once for each instance.
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import type { Caller } from '../lib/auth/callers/caller.ts';
import type { CallerBindings } from '../lib/auth/gate.ts';
import type { OriginBindings } from '../lib/http/request.ts';
import { openApp } from '../lib/server/open-app.ts';
import { openRegistry } from '../lib/server/open-registry.ts';
import { KiB } from '../lib/streams/bytes.ts';
import { readConfiguration } from './configuration.ts';
import { clientAddressOf } from './gateway/client-address.ts';
import { requestOf } from './gateway/request.ts';
import { resultOf } from './gateway/result.ts';
import { version } from './version.ts';

/**
 * Lambda takes events of 6,291,556 bytes, in which a body is base64 beside its headers: 4.4 MiB fit in any case.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 */
const MAX_BODY_BYTES = 4505 * KiB;

const { config, log } = await readConfiguration();
const opened = await openRegistry(config, { log });
const app = await openApp({ ...config, storageRedirect: true }, opened, {
  log,
  version,
  hasAuthorizer: true,
  gatewayLimits: {
    maxBodyBytes: MAX_BODY_BYTES,
    // The one switch for what API Gateway makes of lengths: see docs/deploy.md.
    keepsHeadLength: false,
  },
});

export const handler = async (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => {
  const caller = callerOf(event);
  const request = requestOf(event);
  const { origin, host } = new URL(request.url);
  const bindings: CallerBindings & OriginBindings = {
    ...(caller && { caller }),
    clientAddress: clientAddressOf(event, config.trustedProxies),
    // The gateway says itself by which of its domains it was asked.
    reached: { origin, authority: host, isCertain: true },
  };
  return await resultOf(await app.fetch(request, bindings));
};

/** What `authorizer.ts` has found out: a context holds text only. */
function callerOf({ requestContext: { authorizer } }: APIGatewayProxyEvent): Caller | undefined {
  const caller: unknown = authorizer?.caller;
  return typeof caller === 'string' ? (JSON.parse(caller) as Caller) : undefined;
}
