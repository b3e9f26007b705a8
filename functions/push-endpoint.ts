// The registry as a Node server in a Lambda Web Function, for bodies that do not fit through API Gateway.
// https://docs.aws.amazon.com/lambda/latest/dg/web-functions.html
import { serve } from '../lib/server/serve.ts';
import { readConfiguration } from './configuration.ts';
import { cameByEdge, EDGE_HEADER } from './edge.ts';
import { version } from './version.ts';

const { config, log } = await readConfiguration();
const { hostname: host, port } = new URL(`http://${process.env.AWS_LAMBDA_HTTP_ENDPOINT ?? '127.0.0.1:8080'}`);
const server = await serve(
  { ...config, host, port: Number(port), storageRedirect: true, pushEndpoint: undefined },
  {
    log,
    version,
    // Events of the bucket invoke the projection worker after a push.
    runsBackgroundWork: false,
    // Lambda would hold back an answer sent before the end of the body until the function times out.
    isHalfDuplex: true,
    // Without CloudFront Lambda is the only proxy.
    trustedProxies: (headers) => (cameByEdge(headers[EDGE_HEADER]?.toString()) ? config.trustedProxies : 1),
  },
);
log.info('listening', { url: server.url.origin, version });
process.once('SIGTERM', () => void server.stop().then(() => process.exit()));
