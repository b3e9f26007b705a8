// What the stand-in does to requests and answers, one quirk of API Gateway at a time. The modules name the page of each.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { APIGatewayAuthorizerResult } from 'aws-lambda';
import { answerOf, MalformedResult } from './answer.ts';
import { AUTHORIZER_FAILURES, Authorization } from './authorization.ts';
import { eventOf, type GatewayRequest, queryOf } from './event.ts';
import { gatewayResponse, payloadTooLarge } from './gateway-response.ts';
import { headersBytes, MAX_HEADERS_BYTES } from './limits.ts';
import type { Authorizer, Integration, RestApi } from './rest-api.ts';
import { findRoute, splitStage } from './routes.ts';

const integration: Integration = { functionId: 'RequestHandler', timeoutMs: 29_000, authorizer: undefined };
const api: RestApi = {
  stages: ['v2', 'v1'],
  routes: new Map([
    ['/', new Map([['any', integration]])],
    ['/{proxy+}', new Map([['any', integration]])],
    ['/_ping', new Map([['get', integration]])],
  ]),
  binaryMediaTypes: ['*/*'],
  gatewayResponses: new Map([
    [
      'DEFAULT_4XX',
      {
        statusCode: undefined,
        headers: {},
        template: '{"m":"$context.error.message",\n"s":$context.error.messageString}',
      },
    ],
    ['UNAUTHORIZED', { statusCode: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' }, template: '{}' }],
  ]),
};

const request = (given: Partial<GatewayRequest> = {}): GatewayRequest => ({
  method: 'GET',
  host: 'abc.execute-api.eu-west-1.amazonaws.com',
  scheme: 'https',
  fullPath: '/v2/app/manifests/latest',
  stage: 'v2',
  path: '/app/manifests/latest',
  query: '',
  rawHeaders: [],
  body: Buffer.alloc(0),
  clientAddress: '192.0.2.1',
  ...given,
});
const route = { resource: '/{proxy+}', proxy: 'app/manifests/latest', integration };

describe('a request on its way to a Lambda', () => {
  test('has its stage in one of its two paths only, and stays percent-encoded', () => {
    const event = eventOf(request({ fullPath: '/v2/a%2Fb', path: '/a%2Fb' }), route, api, null);
    assert.equal(event.path, '/a%2Fb');
    assert.equal(event.requestContext.path, '/v2/a%2Fb');
  });

  test('loses Content-Length, Expect and the headers of its framing', () => {
    const rawHeaders = [
      'Content-Length',
      '3',
      'Transfer-Encoding',
      'chunked',
      'Expect',
      '100-continue',
      'Range',
      'bytes=0-1',
    ];
    const { headers } = eventOf(request({ rawHeaders }), route, api, null);
    assert.deepEqual(
      Object.keys(headers).filter((name) => /length|transfer|expect/i.test(name)),
      [],
    );
    assert.equal(headers.Range, 'bytes=0-1');
  });

  test('has capitals in some header names, and the others unchanged', () => {
    const rawHeaders = ['authorization', 'Basic eA==', 'user-agent', 'docker', 'x-docker-token', 'true'];
    const { headers } = eventOf(request({ rawHeaders }), route, api, null);
    assert.equal(headers.Authorization, 'Basic eA==');
    assert.equal(headers['User-Agent'], 'docker');
    assert.equal(headers['x-docker-token'], 'true');
  });

  test('cannot replace X-Forwarded-Proto and X-Forwarded-For of the gateway', () => {
    const rawHeaders = ['X-Forwarded-Proto', 'http', 'x-forwarded-for', '6.6.6.6'];
    const { headers } = eventOf(request({ rawHeaders }), route, api, null);
    assert.equal(headers['X-Forwarded-Proto'], 'https');
    assert.equal(headers['X-Forwarded-For'], '6.6.6.6, 192.0.2.1');
    assert.equal(headers['x-forwarded-for'], undefined);
  });

  test('keeps repeated headers in the other map', () => {
    const rawHeaders = ['Accept', 'a/b', 'Accept', 'c/d'];
    const event = eventOf(request({ rawHeaders }), route, api, null);
    assert.equal(event.headers.Accept, 'c/d');
    assert.deepEqual(event.multiValueHeaders.Accept, ['a/b', 'c/d']);
  });

  test('has its body as base64 if its type is binary, else as text', () => {
    const body = Buffer.from([0xff, 0x00]);
    assert.equal(eventOf(request({ body }), route, api, null).body, '/wA=');
    const asText = eventOf(request({ body }), route, { ...api, binaryMediaTypes: [] }, null);
    assert.equal(asText.isBase64Encoded, false);
    assert.notEqual(asText.body, '/wA=');
  });

  for (const [query, expected] of [
    ['a=1&a=2', { a: ['1', '2'] }],
    ['a=b+c&d=e%2Bf', { a: ['b c'], d: ['e+f'] }],
    ['a=1;b=2', { a: ['1'], b: ['2'] }],
    ['digest=sha256%3Aabc', { digest: ['sha256:abc'] }],
    ['empty', { empty: [''] }],
  ] as const) {
    test(`has ${query} as values`, () => assert.deepEqual(queryOf(query), expected));
  }

  test('may have 10,240 bytes of request line and headers', () => {
    assert(headersBytes('GET /v2/ HTTP/1.1', ['A', 'x'.repeat(10_300)]) > MAX_HEADERS_BYTES);
    assert(headersBytes('GET /v2/ HTTP/1.1', ['A', 'x'.repeat(9000)]) <= MAX_HEADERS_BYTES);
  });
});

describe('a path', () => {
  for (const [path, stage, rest] of [
    ['/v2/', 'v2', '/'],
    ['/v2', 'v2', '/'],
    ['/v2//app/manifests/x', 'v2', '/app/manifests/x'],
    ['/v1/_ping', 'v1', '/_ping'],
  ] as const) {
    test(`${path} is ${rest} of the stage ${stage}`, () => assert.deepEqual(splitStage(path), { stage, path: rest }));
  }

  test('that is exact wins over a greedy one, with all that it does not have', () => {
    assert.equal(findRoute(api, 'GET', '/_ping')?.resource, '/_ping');
    assert.equal(findRoute(api, 'POST', '/_ping'), undefined);
    assert.equal(findRoute(api, 'PATCH', '/a/b/c')?.proxy, 'a/b/c');
  });
});

describe('an answer of a Lambda', () => {
  const options = { binaryMediaTypes: ['*/*'], accept: undefined, method: 'GET' };
  const answer = (result: object, given = {}) => answerOf(JSON.stringify(result), { ...options, ...given });

  for (const name of ['WWW-Authenticate', 'Content-Length', 'Date', 'Server', 'Connection']) {
    test(`has its ${name} renamed`, () => {
      const { headers } = answer({ statusCode: 401, headers: { [name]: 'x' } });
      assert.equal(headers[`x-amzn-remapped-${name.toLowerCase()}`], 'x');
      assert.equal(headers[name.toLowerCase()], undefined);
    });
  }

  for (const name of ['Docker-Content-Digest', 'Location', 'Range', 'Link', 'ETag', 'Content-Range', 'OCI-Tag']) {
    test(`keeps its ${name}`, () => {
      assert.equal(answer({ statusCode: 200, headers: { [name]: 'x' } }).headers[name.toLowerCase()], 'x');
    });
  }

  test('without a type is JSON', () => {
    assert.equal(answer({ statusCode: 202 }).headers['content-type'], 'application/json');
  });

  for (const [title, result] of [
    ['a number in a header', { statusCode: 200, headers: { 'X-Size': 3 } }],
    ['a list in a header', { statusCode: 200, headers: { 'X-Size': ['3'] } }],
    ['another field', { statusCode: 200, cookies: [] }],
    ['no status', { body: 'x' }],
    ['a body that is no text', { statusCode: 200, body: {} }],
    ['nothing', null],
  ] as const) {
    test(`with ${title} is malformed`, () => {
      assert.throws(() => answerOf(JSON.stringify(result), options), MalformedResult);
    });
  }

  test('over 6 MB is an error', () => {
    assert.throws(() => answer({ statusCode: 200, body: 'x'.repeat(6 * 1024 * 1024 + 100) }), MalformedResult);
  });

  test('stays base64 where no type is binary', () => {
    const result = { statusCode: 200, body: 'AAE=', isBase64Encoded: true };
    assert.deepEqual(answer(result).body, Buffer.from([0, 1]));
    assert.deepEqual(answer(result, { binaryMediaTypes: [] }).body, Buffer.from('AAE='));
    const png = { binaryMediaTypes: ['image/png'] };
    assert.deepEqual(answer(result, { ...png, accept: 'image/png, */*' }).body, Buffer.from([0, 1]));
    assert.deepEqual(answer(result, { ...png, accept: '*/*, image/png' }).body, Buffer.from('AAE='));
  });

  test('to HEAD has no body and no length of its own', () => {
    const result = { statusCode: 200, headers: { 'Content-Length': '99' }, body: '' };
    const { headers, body } = answer(result, { method: 'HEAD' });
    assert.equal(headers['content-length'], undefined);
    assert.equal(body.length, 0);
  });
});

describe('an answer of the gateway', () => {
  test('has a challenge under its own name', () => {
    assert.equal(gatewayResponse(api, 'UNAUTHORIZED').headers['www-authenticate'], 'Basic realm="x"');
  });

  test('is that of all 4xx, with the message filled in, if it has none of its own', () => {
    const { status, body } = gatewayResponse(api, 'EVENT_TOO_LARGE');
    assert.equal(status, 413);
    assert.deepEqual(JSON.parse(body.toString()), { m: 'Request Too Long', s: 'Request Too Long' });
  });

  test('without a template is a JSON message', () => {
    const { status, body } = gatewayResponse({ ...api, gatewayResponses: new Map() }, 'MISSING_AUTHENTICATION_TOKEN');
    assert.equal(status, 403);
    assert.equal(body.toString(), '{"message":"Missing Authentication Token"}');
  });

  test('above 10 MB is plain text, independently of the template', () => {
    assert.equal(payloadTooLarge().body.toString(), 'HTTP content length exceeded 10485760 bytes.');
  });
});

describe('an authorizer', () => {
  const authorizer: Authorizer = { functionId: 'Authorizer', identityHeaders: ['authorization'], ttlSeconds: 300 };
  const methodArn = 'arn:aws:execute-api:eu-west-1:123456789012:abc/v2/GET/app/manifests/latest';
  const headers = { Authorization: ['Basic eA=='] };
  const allow = (Resource: string, context = {}): APIGatewayAuthorizerResult => ({
    principalId: 'x',
    policyDocument: { Version: '2012-10-17', Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource }] },
    context,
  });

  test('is not asked without its identity source', async () => {
    const authorization = new Authorization();
    const verdict = await authorization.decide(authorizer, { methodArn, headers: {}, ask: () => assert.fail() });
    assert.deepEqual(verdict, { refusal: 'UNAUTHORIZED' });
    assert.equal(authorization.calls, 0);
  });

  test('is asked once, and its cached policy then applies to every path', async () => {
    const authorization = new Authorization();
    const decide = (arn: string) =>
      authorization.decide(authorizer, { methodArn: arn, headers, ask: async () => allow(methodArn) });
    assert('context' in (await decide(methodArn)));
    assert.deepEqual(await decide(methodArn.replace('latest', 'other')), { refusal: 'ACCESS_DENIED' });
    assert.equal(authorization.calls, 1);
  });

  for (const failure of AUTHORIZER_FAILURES) {
    for (const [message, refusal] of [
      ['Unauthorized', 'UNAUTHORIZED'],
      ['unauthorized', failure],
      ['TypeError', failure],
    ] as const) {
      test(`that throws "${message}" gives ${refusal}, if other messages give ${failure}`, async () => {
        const ask = async () => {
          throw new Error(message);
        };
        assert.deepEqual(await new Authorization(failure).decide(authorizer, { methodArn, headers, ask }), { refusal });
      });
    }
  }

  for (const [title, answer] of [
    ['a map in its context', allow('*', { caller: {} })],
    ['a resource of more than 512 characters', allow(`arn:${'x'.repeat(512)}`)],
    ['no policy', { principalId: 'x' }],
  ] as const) {
    test(`with ${title} is misconfigured`, async () => {
      const verdict = await new Authorization().decide(authorizer, { methodArn, headers, ask: async () => answer });
      assert.deepEqual(verdict, { refusal: 'AUTHORIZER_CONFIGURATION_ERROR' });
    });
  }

  test('is not asked about a path that is too long', async () => {
    const long = `${methodArn}/${'x'.repeat(1600)}`;
    const verdict = await new Authorization().decide(authorizer, {
      methodArn: long,
      headers,
      ask: () => assert.fail(),
    });
    assert.deepEqual(verdict, { refusal: 'URI_TOO_LONG' });
  });

  test('without a cache is asked each time', async () => {
    const authorization = new Authorization();
    const open = { ...authorizer, identityHeaders: [], ttlSeconds: 0 };
    for (const calls of [1, 2]) {
      await authorization.decide(open, { methodArn, headers: {}, ask: async () => allow('*') });
      assert.equal(authorization.calls, calls);
    }
  });
});
