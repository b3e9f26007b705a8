// Events of a REST API as requests, responses as results.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { APIGatewayProxyEvent } from 'aws-lambda';
import { clientAddressOf } from '../../functions/gateway/client-address.ts';
import { requestOf } from '../../functions/gateway/request.ts';
import { resultOf } from '../../functions/gateway/result.ts';

const event = (given: Partial<APIGatewayProxyEvent> = {}, path = '/v2/a%2Fb/tags/list'): APIGatewayProxyEvent =>
  ({
    httpMethod: 'GET',
    path: '/a%2Fb/tags/list',
    headers: null,
    multiValueHeaders: { Host: ['abc.execute-api.eu-west-1.amazonaws.com'], 'X-Forwarded-Proto': ['https'] },
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    body: null,
    isBase64Encoded: false,
    requestContext: { path, requestId: 'a-request', domainName: 'abc.execute-api.eu-west-1.amazonaws.com' },
    ...given,
  }) as unknown as APIGatewayProxyEvent;

describe('a client behind the gateway', () => {
  const KEY = 'the key of the edge';
  for (const [title, trustedProxies, forwarded, address, shown] of [
    ['is where the gateway says', 1, ['6.6.6.6, 192.0.2.1'], '192.0.2.1', KEY],
    [
      'has the address that CloudFront saw, not the one it claims itself',
      2,
      ['6.6.6.6, 203.0.113.9, 192.0.2.1'],
      '203.0.113.9',
      KEY,
    ],
    ['is the same in several lines', 2, ['6.6.6.6', '203.0.113.9, 192.0.2.1'], '203.0.113.9', KEY],
    ['that comes past CloudFront is where the gateway says', 2, ['6.6.6.6, 192.0.2.1'], '192.0.2.1', 'a guess'],
    ['that comes past CloudFront with nothing is there too', 2, ['6.6.6.6, 192.0.2.1'], '192.0.2.1', ''],
  ] as const) {
    test(title, () => {
      const multiValueHeaders = { 'X-Forwarded-For': [...forwarded], 'X-Stowage-Edge': [shown] };
      const requestContext = { identity: { sourceIp: '192.0.2.1' } } as APIGatewayProxyEvent['requestContext'];
      assert.equal(clientAddressOf({ multiValueHeaders, requestContext }, trustedProxies, KEY), address);
    });
  }
});

describe('an event', () => {
  test('has the stage and the encoding in its URL', () => {
    assert.equal(requestOf(event()).url, 'https://abc.execute-api.eu-west-1.amazonaws.com/v2/a%2Fb/tags/list');
  });

  // There `event.path` begins with the mapping's base path, v1 or v2, as the stage is called.
  test('by a domain name of its own has the same URL there', () => {
    const domainName = 'registry.example.com';
    const given = event({ path: '/v2/a%2Fb/tags/list' });
    const requestContext = { ...given.requestContext, domainName };
    assert.equal(requestOf({ ...given, requestContext }).url, `https://${domainName}/v2/a%2Fb/tags/list`);
  });

  test('has headers of any bytes', () => {
    const { headers } = requestOf(
      event({ multiValueHeaders: { Host: ['a'], A: ['é✓'] }, headers: { A: 'é✓', B: '✓' } }),
    );
    const asBytes = (text: string) => Buffer.from(text).toString('latin1');
    assert.deepEqual([headers.get('A'), headers.get('B')], [asBytes('é✓'), asBytes('✓')]);
  });

  test('keeps every value of its query', () => {
    const given = { multiValueQueryStringParameters: { tag: ['a', 'b+c'], digest: ['sha256:x'] } };
    const { searchParams } = new URL(requestOf(event(given)).url);
    assert.deepEqual(searchParams.getAll('tag'), ['a', 'b+c']);
    assert.equal(searchParams.get('digest'), 'sha256:x');
  });

  test('gets back its bytes and their number', async () => {
    const request = requestOf(event({ httpMethod: 'PATCH', body: '/wA=', isBase64Encoded: true }));
    assert.equal(request.headers.get('Content-Length'), '2');
    assert.deepEqual(await request.bytes(), new Uint8Array([0xff, 0x00]));
  });

  test('has the request id of the gateway', () => {
    assert.equal(requestOf(event()).headers.get('X-Request-Id'), 'a-request');
  });

  test('may come from the console, with single values only', () => {
    const given = { multiValueHeaders: null, headers: { Accept: 'a/b' }, queryStringParameters: { n: '1' } };
    const request = requestOf(event(given as never));
    assert.equal(request.headers.get('accept'), 'a/b');
    assert.equal(new URL(request.url).search, '?n=1');
  });
});

describe('a result', () => {
  test('leaves out headers that the gateway would rename, and is text', async () => {
    const headers = { 'Content-Length': '1', Date: 'now', 'Docker-Content-Digest': 'sha256:x', 'Content-Type': 'a/b' };
    const result = await resultOf(new Response('x', { status: 201, headers }));
    assert.deepEqual(result, {
      statusCode: 201,
      headers: { 'content-type': 'a/b', 'docker-content-digest': 'sha256:x' },
      body: 'eA==',
      isBase64Encoded: true,
    });
  });

  test('always has a type', async () => {
    const { headers } = await resultOf(new Response(null, { status: 202 }));
    assert.equal(headers?.['content-type'], 'application/octet-stream');
  });
});
