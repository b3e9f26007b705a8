// The stand-in for an HTTP API: what API Gateway would know of it, read from the template, and a server in front of its function. It
// speaks HTTPS, as the gateway does: browsers keep a cookie with the prefix `__Host-` only of such a host.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Passed } from './gateway.ts';
import { type HttpAnswer, httpAnswerOf, messageAnswer } from './http-answer.ts';
import { httpEventOf } from './http-event.ts';
import { EventTooLarge, type LambdaFunction } from './lambda-function.ts';
import { headersBytes, MAX_HEADERS_BYTES } from './limits.ts';
import { readBody } from './read-body.ts';
import { arnOf, objectOf, physicalId, type Resource, type Stack } from './template.ts';
import { within } from './within.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures', name));

/** Of the server, for `localhost`. */
export const CERTIFICATE = fixture('localhost-cert.pem');

export type HttpApi = {
  functionId: string;
  timeoutMs: number;
  requestsPerSecond: number;
};

export type HttpGateway = { url: URL; passed: Passed[]; stop(): Promise<void> };

/** @returns undefined where the stack has no such API; @throws Error where the parts of the API do not belong together */
export function readHttpApi({ resources }: Stack, id = 'PagesApi'): HttpApi | undefined {
  const api = resources.get(id);
  if (!api) return undefined;
  if (api.type !== 'AWS::ApiGatewayV2::Api' || api.properties.ProtocolType !== 'HTTP')
    throw new Error(`${id} is no HTTP API`);
  const ofApi = (type: string): [string, Resource] => {
    const found = [...resources].filter(
      ([, { type: other, properties }]) => other === type && properties.ApiId === physicalId(id),
    );
    const [only, ...more] = found;
    if (!only || more.length > 0) throw new Error(`${id} has ${found.length} of ${type}, not one`);
    return only;
  };
  const [, stage] = ofApi('AWS::ApiGatewayV2::Stage');
  // Any other stage has its name in the path.
  if (stage.properties.StageName !== '$default' || stage.properties.AutoDeploy !== true)
    throw new Error(`the stage of ${id} is not $default, or is not deployed`);
  const [integrationId, integration] = ofApi('AWS::ApiGatewayV2::Integration');
  const { IntegrationType, IntegrationUri, PayloadFormatVersion, TimeoutInMillis = 30_000 } = integration.properties;
  if (IntegrationType !== 'AWS_PROXY' || PayloadFormatVersion !== '2.0')
    throw new Error('only AWS_PROXY with payload 2.0 is known here');
  if (Number(TimeoutInMillis) > 30_000) throw new Error('an integration of an HTTP API takes 30 s at most');
  const [, route] = ofApi('AWS::ApiGatewayV2::Route');
  const { RouteKey, Target, AuthorizationType } = route.properties;
  if (RouteKey !== '$default' || Target !== `integrations/${physicalId(integrationId)}`)
    throw new Error(`the route of ${id} does not lead everything to its integration`);
  if (AuthorizationType !== 'NONE') throw new Error('only a route without an authorizer is known here');
  const functionId = [...resources].find(([other]) => arnOf(other) === IntegrationUri)?.[0] ?? '';
  const isAllowed = [...resources.values()].some(
    ({ type, properties }) =>
      type === 'AWS::Lambda::Permission' &&
      properties.Principal === 'apigateway.amazonaws.com' &&
      properties.FunctionName === physicalId(functionId) &&
      String(properties.SourceArn).endsWith(`:${physicalId(id)}/*`),
  );
  if (!isAllowed) throw new Error(`${id} may not call ${functionId}: there is no AWS::Lambda::Permission for it`);
  const { ThrottlingRateLimit } = objectOf(stage.properties.DefaultRouteSettings ?? {}, 'DefaultRouteSettings');
  return { functionId, timeoutMs: Number(TimeoutInMillis), requestsPerSecond: Number(ThrottlingRateLimit) };
}

/** Starts the gateway in front of a function. The API's host is `localhost`. */
export async function startHttpApi(api: HttpApi, called: Pick<LambdaFunction, 'invoke'>): Promise<HttpGateway> {
  const passed: Passed[] = [];

  async function answer(incoming: IncomingMessage, count: (bytes: number) => void): Promise<HttpAnswer> {
    const { url = '/', method = 'GET', rawHeaders, headers, socket } = incoming;
    if (headersBytes(`${method} ${url} HTTP/1.1`, rawHeaders) > MAX_HEADERS_BYTES)
      return messageAnswer(431, 'Request Header Fields Too Large');
    const body = await readBody(incoming, count);
    if (!body) return messageAnswer(413, 'Request Entity Too Large');
    const event = httpEventOf({
      method,
      url,
      host: headers.host ?? '',
      rawHeaders,
      body,
      clientAddress: socket.remoteAddress ?? '',
    });
    try {
      const text = await within(api.timeoutMs, called.invoke(event));
      return text === undefined ? messageAnswer(503, 'Service Unavailable') : httpAnswerOf(text, method);
    } catch (error) {
      if (error instanceof EventTooLarge) return messageAnswer(413, 'Request Entity Too Large');
      console.error(error); // a failed function: AWS would have it in a log
      return messageAnswer(500, 'Internal Server Error');
    }
  }

  const tls = { cert: CERTIFICATE, key: fixture('localhost-key.pem') };
  const server = createServer({ ...tls, maxHeaderSize: 64 * 1024 }, (incoming, outgoing) => {
    let bytesIn = 0;
    answer(incoming, (bytes) => (bytesIn += bytes))
      .then(({ status, headers, cookies, body }) => {
        const path = (incoming.url ?? '').split('?')[0] ?? '';
        passed.push({ method: incoming.method ?? '', path, status, bytesIn, bytesOut: body.length });
        outgoing.writeHead(status, {
          ...headers,
          ...(cookies.length > 0 && { 'set-cookie': cookies }),
          'content-length': String(body.length),
          ...(!incoming.complete && { connection: 'close' }),
        });
        outgoing.end(body);
        incoming.resume();
      })
      .catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`https://localhost:${port}`),
    passed,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
