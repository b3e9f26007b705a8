// v1 and v2 behind API Gateway. The gateway's authorizer has authenticated the request. Opened once per instance.
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import type { Caller } from '../lib/auth/callers/caller.ts';
import type { CallerBindings } from '../lib/auth/request-caller.ts';
import type { OriginBindings } from '../lib/http/request.ts';
import { openPullApp } from '../lib/server/pull-app.ts';
import { openStorage } from '../lib/storage/open.ts';
import '../lib/storage/s3-driver.ts'; // openStorage imports it dynamically; with this import it is in the chunk that the start loads
import type { CollectorEvent } from './collector.ts';
import { readConfiguration } from './configuration.ts';
import { clientAddressOf } from './gateway/client-address.ts';
import { MAX_BODY_BYTES, requestOf } from './gateway/request.ts';
import { resultOf } from './gateway/result.ts';
import { version } from './version.ts';

const { COLLECTOR_ARN: collector } = process.env;
const START: CollectorEvent = {};

const { config, log } = await readConfiguration();
const driver = await openStorage(config.storage, { verifies: false });
const answer = await openPullApp(
  { ...config, storageRedirect: true },
  {
    log,
    driver,
    version,
    hasAuthorizer: true,
    ...(collector && {
      requestCollection: async () => (await import('./invoke-function.ts')).invokeFunction(collector, START),
    }),
    gatewayLimits: {
      maxBodyBytes: MAX_BODY_BYTES,
      // Set once it is known whether API Gateway passes on the Content-Length of a HEAD: see docs/deploy.md.
      forwardsHeadContentLength: false,
    },
  },
);

export const handler = async (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => {
  const caller = callerOf(event);
  const request = requestOf(event);
  const { origin, host } = new URL(request.url);
  const bindings: CallerBindings & OriginBindings = {
    ...(caller && { caller }),
    clientAddress: clientAddressOf(event, config.trustedProxies),
    // The event names the domain that the client used.
    reached: () => ({ origin, authority: host, isCertain: true }),
  };
  return await resultOf(await answer(request, bindings));
};

/** The caller that `authorizer.ts` put into the context, as JSON because a context holds strings only. */
function callerOf({ requestContext: { authorizer } }: APIGatewayProxyEvent): Caller | undefined {
  const caller: unknown = authorizer?.caller;
  return typeof caller === 'string' ? (JSON.parse(caller) as Caller) : undefined;
}
