// What the stand-in for an HTTP API does to requests and answers. The modules name the page of each.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { JsonObject } from '../../lib/model/json.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { httpAnswerOf } from './http-answer.ts';
import { CERTIFICATE, type HttpGateway, readHttpApi, startHttpApi } from './http-api.ts';
import { type HttpRequest, httpEventOf } from './http-event.ts';
import { EventTooLarge } from './lambda-function.ts';
import { MAX_EVENT_BYTES } from './limits.ts';
import { arnOf, objectOf, readStack, SOURCE_TEMPLATE } from './template.ts';

const sent = (given: Partial<HttpRequest> = {}): HttpRequest => ({
  method: 'GET',
  url: '/ui/',
  host: 'abc.execute-api.eu-west-1.amazonaws.com',
  rawHeaders: [],
  body: Buffer.alloc(0),
  clientAddress: '192.0.2.1',
  ...given,
});

describe('an event of an HTTP API', () => {
  test('has no stage in its path, which is decoded, and its query as it came', () => {
    const event = httpEventOf(sent({ url: '/ui/r/a%20b%3Fc?q=a+b&tag=x&tag=%2F' }));
    assert.equal(event.rawPath, '/ui/r/a b');
    assert.equal(event.rawQueryString, 'q=a+b&tag=x&tag=%2F');
    assert.deepEqual(event.queryStringParameters, { q: 'a b', tag: 'x,/' });
    assert.equal(event.requestContext.stage, '$default');
  });

  test('has cookies apart, and the other headers in lower case, repeated ones joined', () => {
    const rawHeaders = ['Cookie', 'a=1; b=2', 'X-Test', 'one', 'x-test', 'two', 'Cookie', 'c=3'];
    const { cookies, headers } = httpEventOf(sent({ rawHeaders }));
    assert.deepEqual(cookies, ['a=1', 'b=2', 'c=3']);
    assert.equal(headers['x-test'], 'one,two');
    assert.equal(headers.cookie, undefined);
    assert.equal('cookies' in httpEventOf(sent()), false);
  });

  test('says how the client came, not what the client claims', () => {
    const rawHeaders = ['X-Forwarded-For', '6.6.6.6', 'X-Forwarded-Proto', 'http'];
    const { headers, requestContext } = httpEventOf(sent({ rawHeaders }));
    assert.equal(headers['x-forwarded-for'], '6.6.6.6, 192.0.2.1');
    assert.equal(headers['x-forwarded-proto'], 'https');
    assert.equal(requestContext.http.sourceIp, '192.0.2.1');
  });

  for (const [type, isBase64Encoded] of [
    ['application/x-www-form-urlencoded', true],
    ['application/octet-stream', true],
    ['application/json', false],
    ['text/plain', false],
  ] as const) {
    test(`has a body of ${type} ${isBase64Encoded ? 'in base64' : 'as text'}`, () => {
      const event = httpEventOf(sent({ method: 'POST', rawHeaders: ['Content-Type', type], body: Buffer.from('a=b') }));
      assert.deepEqual([event.body, event.isBase64Encoded], [isBase64Encoded ? 'YT1i' : 'a=b', isBase64Encoded]);
    });
  }
});

describe('an answer of an HTTP API', () => {
  const answer = (result: unknown, method = 'GET') => httpAnswerOf(JSON.stringify(result), method);

  test('has one Set-Cookie for each cookie of the result', () => {
    const { cookies, status, body } = answer({
      statusCode: 303,
      cookies: ['a=1', 'b=2'],
      body: 'eA==',
      isBase64Encoded: true,
    });
    assert.deepEqual([cookies, status, body.toString()], [['a=1', 'b=2'], 303, 'x']);
  });

  test('is a result without a status, as it is', () => {
    const { status, headers, body } = answer({ hello: 'world' });
    assert.deepEqual(
      [status, headers['content-type'], body.toString()],
      [200, 'application/json', '{"hello":"world"}'],
    );
  });

  test('to HEAD has no body', () => assert.equal(answer({ statusCode: 200, body: 'x' }, 'HEAD').body.length, 0));

  for (const [title, result] of [
    ['a status that is no number', { statusCode: 'x' }],
    ['a body that is no text', { statusCode: 200, body: {} }],
    ['cookies that are no list', { statusCode: 200, cookies: 'a=1' }],
    ['more than 6 MB', { statusCode: 200, body: 'x'.repeat(6 * MiB + 100) }],
  ] as const) {
    test(`is 500 for a result with ${title}`, () => {
      const { status, body } = answer(result);
      assert.deepEqual([status, body.toString()], [500, '{"message":"Internal Server Error"}']);
    });
  }
});

describe('an HTTP API', () => {
  let handle: (event: APIGatewayProxyEventV2) => Promise<string>;
  let gateway: HttpGateway;
  const timeoutMs = 100;
  before(async () => {
    const api = { functionId: 'Ui', timeoutMs, requestsPerSecond: 1 };
    gateway = await startHttpApi(api, { invoke: (event) => handle(event as APIGatewayProxyEventV2) });
  });
  after(() => gateway.stop());

  async function send(path: string, { method = 'GET', headers = {}, body = '' } = {}) {
    const outgoing = request(new URL(path, gateway.url), { method, headers, ca: CERTIFICATE });
    outgoing.end(body);
    const [answer]: IncomingMessage[] = await once(outgoing, 'response');
    assert(answer);
    return { status: answer.statusCode, headers: answer.headers, text: (await buffer(answer)).toString() };
  }

  test('hands every path and method to its function, and its cookies to the client', async () => {
    handle = async ({ rawPath, requestContext: { http } }) =>
      JSON.stringify({ statusCode: 200, cookies: ['a=1', 'b=2'], body: `${http.method} ${rawPath}` });
    for (const [method, path] of [
      ['GET', '/'],
      ['POST', '/ui/login'],
      ['DELETE', '/v2/any'],
    ] as const) {
      const { text, headers } = await send(path, { method });
      assert.equal(text, `${method} ${path}`);
      assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
    }
  });

  test('answers 503 where the function takes too long', async () => {
    handle = () => new Promise(() => {});
    assert.equal((await send('/')).status, 503);
  });

  test('answers 500 where the function fails', async () => {
    handle = async () => {
      throw new Error('a failure of the test');
    };
    const { status, text } = await send('/');
    assert.deepEqual([status, text], [500, '{"message":"Internal Server Error"}']);
  });

  test('answers 413 to a body that fits into no event', async () => {
    handle = async (event) => {
      if (JSON.stringify(event).length > MAX_EVENT_BYTES) throw new EventTooLarge();
      return JSON.stringify({ statusCode: 200 });
    };
    for (const [sizeBytes, status] of [
      [4 * MiB, 200],
      [5 * MiB, 413],
    ] as const) {
      const body = 'x'.repeat(sizeBytes);
      assert.equal((await send('/', { method: 'POST', body, headers: { 'Content-Type': 'a/b' } })).status, status);
    }
  });

  test('answers 413 to a body of more than 10 MB without reading it', async () => {
    const headers = { 'Content-Length': String(10 * MiB + 1) };
    const outgoing = request(gateway.url, { method: 'POST', headers, ca: CERTIFICATE });
    outgoing.flushHeaders();
    const [answer]: IncomingMessage[] = await once(outgoing, 'response');
    assert.equal(answer?.statusCode, 413);
    outgoing.on('error', () => {}).destroy();
  });

  test('answers 431 to headers of more than 10 kB', async () => {
    assert.equal((await send('/', { headers: { Cookie: 'x'.repeat(10_300) } })).status, 431);
  });
});

describe('the API of the pages in the template', () => {
  const read = (edit: (template: JsonObject) => void = () => {}) => readHttpApi(readStack(SOURCE_TEMPLATE, { edit }));
  const propertiesOf = (template: JsonObject, id: string) => {
    const resource = objectOf(objectOf(template.Resources ?? null, 'Resources')[id] ?? null, id);
    return objectOf(resource.Properties ?? null, id);
  };

  test('leads everything to the function, which has 30 s, and is throttled', () => {
    assert.deepEqual(read(), { functionId: 'Ui', timeoutMs: 30_000, requestsPerSecond: 1000 });
  });

  test('has an alarm for its failures, which notifies the topic', () => {
    const AlarmTopicArn = 'arn:aws:sns:eu-west-1:123456789012:alarms';
    const { resources } = readStack(SOURCE_TEMPLATE, { parameters: { AlarmTopicArn } });
    assert.partialDeepStrictEqual(resources.get('PagesFailAlarm')?.properties, {
      Namespace: 'AWS/ApiGateway',
      MetricName: '5xx',
      Dimensions: [{ Name: 'ApiId', Value: 'pagesapi-id' }],
      AlarmActions: [AlarmTopicArn],
    });
  });

  test('writes its access log to a group that needs no entry in the resource policy of the account', () => {
    const { resources } = readStack(SOURCE_TEMPLATE, { parameters: { GatewayLogs: 'role-exists' } });
    assert.match(String(resources.get('PagesLog')?.properties.LogGroupName), /^\/aws\/vendedlogs\//);
    assert.partialDeepStrictEqual(resources.get('PagesStage')?.properties, {
      AccessLogSettings: { DestinationArn: arnOf('PagesLog') },
    });
    const { resources: withoutLog } = readStack(SOURCE_TEMPLATE);
    assert.deepEqual(
      [withoutLog.has('PagesLog'), withoutLog.get('PagesStage')?.properties.AccessLogSettings],
      [false, undefined],
    );
  });

  test('is not there with Pages off', () => {
    const stack = readStack(SOURCE_TEMPLATE, { parameters: { Pages: 'off', GatewayLogs: 'role-exists' } });
    assert.equal(readHttpApi(stack), undefined);
    assert.deepEqual(
      [...stack.resources.keys()].filter((id) => /Pages|^Ui|CallUi/.test(id)),
      [],
    );
    assert.deepEqual(
      [...stack.outputs.keys()].filter((name) => name.startsWith('Pages')),
      [],
    );
  });

  for (const [title, id, change] of [
    [
      'the gateway may not call the function',
      'GatewayMayCallUi',
      { SourceArn: 'arn:aws:execute-api:eu-west-1:123456789012:other/*' },
    ],
    ['the route leads elsewhere', 'PagesRoute', { Target: 'integrations/other' }],
    ['the stage has a name that is in the path', 'PagesStage', { StageName: 'ui' }],
    ['the payload has another format', 'PagesIntegration', { PayloadFormatVersion: '1.0' }],
    ['the function would have more time than there is', 'PagesIntegration', { TimeoutInMillis: 31_000 }],
  ] as const) {
    test(`is refused where ${title}`, () => {
      assert.throws(() => read((template) => void Object.assign(propertiesOf(template, id), change)));
    });
  }
});
