// A stand-in for API Gateway: a server in front of the built bundles, which does to requests and answers what a REST API does
// to them, as the built template has it.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { discardRequestBody } from '../../lib/server/drain-request.ts';
import { type Answer, answerOf, MalformedResult } from './answer.ts';
import { Authorization, type AuthorizerFailure } from './authorization.ts';
import { eventOf, type GatewayRequest, headersOf, queryOf } from './event.ts';
import { type GatewayResponseType, gatewayResponse, noSuchStage, payloadTooLarge } from './gateway-response.ts';
import { EventTooLarge, type LambdaFunction } from './lambda-function.ts';
import { headersBytes, MAX_HEADERS_BYTES } from './limits.ts';
import { readBody } from './read-body.ts';
import { type Integration, readRestApi } from './rest-api.ts';
import { findRoute, type Route, splitStage } from './routes.ts';
import { ACCOUNT, REGION, type Stack } from './template.ts';
import { within } from './within.ts';

/** How long a client may go on with a body that was refused; no page says. With less, a busy machine decides whether it reads why. */
const DRAIN_MS = 10_000;

export type Passed = { method: string; path: string; status: number; bytesIn: number; bytesOut: number };

export type Gateway = {
  url: URL;
  /** What clients write before a repository. */
  host: string;
  /** Every request that came, in order. */
  passed: Passed[];
  /** How often the authorizer was called. */
  authorizerCalls(): number;
  stop(): Promise<void>;
};

export type GatewayOptions = {
  functions: ReadonlyMap<string, LambdaFunction>;
  /**
   * Whether the length of an answer to HEAD reaches the client. It is not verified on AWS, so both are tested.
   */
  headLength?: 'zero' | 'none';
  /** What becomes of an authorizer that throws: the same goes for it. */
  authorizerFailure?: AuthorizerFailure;
};

export async function startGateway(
  stack: Stack,
  { functions, headLength = 'zero', authorizerFailure }: GatewayOptions,
): Promise<Gateway> {
  const api = readRestApi(stack);
  const authorization = new Authorization(authorizerFailure);
  const passed: Passed[] = [];

  const functionOf = (id: string): LambdaFunction => {
    const found = functions.get(id);
    if (!found) throw new Error(`the function ${id} does not run`);
    return found;
  };

  async function answer(incoming: IncomingMessage, count: (bytes: number) => void): Promise<Answer> {
    const { url = '/', method = 'GET', rawHeaders, headers } = incoming;
    if (headersBytes(`${method} ${url} HTTP/1.1`, rawHeaders) > MAX_HEADERS_BYTES) return refused(api, 'BAD_REQUEST');
    const body = await readBody(incoming, count);
    if (!body) return payloadTooLarge();
    const queryStart = url.indexOf('?');
    const target = queryStart < 0 ? url : url.slice(0, queryStart);
    const { stage, path } = splitStage(target);
    if (!api.stages.includes(stage)) return noSuchStage();
    // "Important notes": this header takes the method's place.
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
    const override = headers['x-http-method-override'];
    const request: GatewayRequest = {
      method: typeof override === 'string' ? override : method,
      host: headers.host ?? '',
      scheme: 'http',
      fullPath: `/${stage}${path}`,
      stage,
      path,
      query: queryStart < 0 ? '' : url.slice(queryStart + 1),
      rawHeaders,
      body,
      clientAddress: incoming.socket.remoteAddress ?? '',
    };
    // Same page: these have to come percent-encoded.
    if (/[|{}]/.test(request.query)) return refused(api, 'BAD_REQUEST');
    const route = findRoute(api, request.method, path);
    if (!route) return refused(api, 'MISSING_AUTHENTICATION_TOKEN');
    return await integrate(request, route);
  }

  async function integrate(request: GatewayRequest, route: Route): Promise<Answer> {
    const { integration } = route;
    const context = await authorize(request, integration);
    if (context !== null && 'refusal' in context) return refused(api, context.refusal as GatewayResponseType);
    try {
      const event = eventOf(request, route, api, context);
      const text = await within(integration.timeoutMs, functionOf(integration.functionId).invoke(event));
      if (text === undefined) return refused(api, 'INTEGRATION_TIMEOUT');
      const accept = event.headers.Accept ?? event.headers.accept;
      return answerOf(text, { binaryMediaTypes: api.binaryMediaTypes, accept, method: request.method });
    } catch (error) {
      if (error instanceof EventTooLarge) return refused(api, 'EVENT_TOO_LARGE');
      if (!(error instanceof MalformedResult)) console.error(error); // a failed function: AWS would have it in a log
      return refused(api, 'INTEGRATION_FAILURE');
    }
  }

  async function authorize(request: GatewayRequest, { authorizer }: Integration) {
    if (!authorizer) return null;
    const headers = headersOf(request);
    const methodArn = `arn:aws:execute-api:${REGION}:${ACCOUNT}:restapi-id/${request.stage}/${request.method}${request.path}`;
    const verdict = await authorization.decide(authorizer, {
      methodArn,
      headers,
      ask: async () =>
        JSON.parse(
          await functionOf(authorizer.functionId).invoke({
            type: 'REQUEST',
            methodArn,
            path: request.path,
            httpMethod: request.method,
            headers: Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.at(-1)])),
            multiValueHeaders: headers,
            queryStringParameters: queryOf(request.query),
            requestContext: {
              path: request.fullPath,
              stage: request.stage,
              requestId: randomUUID(),
              identity: { sourceIp: request.clientAddress },
            },
          }),
        ),
    });
    return 'refusal' in verdict ? verdict : verdict.context;
  }

  const server = createServer({ maxHeaderSize: 64 * 1024 }, (incoming, outgoing) => {
    let bytesIn = 0;
    answer(incoming, (bytes) => (bytesIn += bytes))
      .catch((error: unknown) => {
        console.error(error);
        return refused(api, 'INTEGRATION_FAILURE');
      })
      .then((given) => {
        const path = (incoming.url ?? '').split('?')[0] ?? '';
        const bytesOut = given.body.length;
        passed.push({ method: incoming.method ?? '', path, status: given.status, bytesIn, bytesOut });
        send(incoming, outgoing, given, headLength);
      })
      .catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    host: `127.0.0.1:${port}`,
    passed,
    authorizerCalls: () => authorization.calls,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const refused = gatewayResponse;

function send(incoming: IncomingMessage, outgoing: ServerResponse, answer: Answer, headLength: 'zero' | 'none'): void {
  const { status, headers, body } = answer;
  const hasNoLength = incoming.method === 'HEAD' && headLength === 'none';
  const isTaken = incoming.complete || Number(incoming.headers['content-length'] ?? 0) === 0;
  outgoing.writeHead(status, {
    ...headers,
    ...(hasNoLength ? {} : { 'content-length': String(body.length) }),
    ...(isTaken ? {} : { connection: 'close' }),
  });
  if (isTaken) return void outgoing.end(body);
  // Node closes the connection at `end`, and a close while the client still sends is a reset, which loses the answer.
  outgoing.write(body);
  void discardRequestBody(incoming, DRAIN_MS).then(() => outgoing.end());
}
