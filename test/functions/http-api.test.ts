// Events of an HTTP API as requests, responses as its results.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { httpClientAddressOf } from '../../functions/gateway/client-address.ts';
import { type HttpEvent, httpRequestOf } from '../../functions/gateway/http-request.ts';
import { httpResultOf } from '../../functions/gateway/http-result.ts';

const ORIGIN = 'https://abc.execute-api.eu-west-1.amazonaws.com';

const event = (given: Partial<HttpEvent> = {}, method = 'GET'): HttpEvent => ({
  rawPath: '/ui/r/team/api:1.0',
  rawQueryString: '',
  headers: { accept: 'text/html' },
  isBase64Encoded: false,
  ...given,
  requestContext: {
    domainName: new URL(ORIGIN).host,
    requestId: 'a-request',
    http: { method, sourceIp: '192.0.2.1' },
  },
});

describe('an event of an HTTP API', () => {
  for (const [path, sent] of [
    ['/ui/r/team/api:1.0', '/ui/r/team/api:1.0'],
    ['/ui/r/team/api@sha256:abc', '/ui/r/team/api@sha256:abc'],
    ['/ui/r/a b/ü', '/ui/r/a%20b/%C3%BC'],
    ['/ui/r/a?b#c', '/ui/r/a%3Fb%23c'],
    ['/ui/r/100%', '/ui/r/100%25'],
    ['/ui/r/a%20b', '/ui/r/a%20b'],
  ] as const) {
    test(`with the path ${path} is a request for ${sent}`, () => {
      assert.equal(httpRequestOf(event({ rawPath: path }), ORIGIN).url, ORIGIN + sent);
    });
  }

  test('keeps its query byte for byte', () => {
    const query = 'tag=a&tag=b%2Bc&q=a+b&to=%2Fui%2F';
    assert.equal(httpRequestOf(event({ rawQueryString: query }), ORIGIN).url, `${ORIGIN}/ui/r/team/api:1.0?${query}`);
  });

  test('has its cookies in one header', () => {
    const { headers } = httpRequestOf(event({ cookies: ['__Host-stowage=a.b', 'theme=dark'] }), ORIGIN);
    assert.equal(headers.get('Cookie'), '__Host-stowage=a.b; theme=dark');
    assert.equal(httpRequestOf(event(), ORIGIN).headers.get('Cookie'), null);
  });

  test('lacks a header that no request can have, and has the others', () => {
    const given = { 'user-agent': 'a ✓', 'x-test': 'a\r\nb', accept: 'text/html' };
    const { headers } = httpRequestOf(event({ headers: given, cookies: ['a=✓'] }), ORIGIN);
    assert.deepEqual(
      ['user-agent', 'x-test', 'cookie', 'accept'].map((name) => headers.get(name)),
      [null, null, null, 'text/html'],
    );
  });

  test('keeps the cookie of its session beside one that no request can have', () => {
    const { headers } = httpRequestOf(event({ cookies: ['place=Łódź', '__Host-stowage=a.b'] }), ORIGIN);
    assert.equal(headers.get('Cookie'), '__Host-stowage=a.b');
  });

  for (const [title, body] of [
    ['as text', { body: 'name=a&b', isBase64Encoded: false }],
    ['in base64', { body: Buffer.from('name=a&b').toString('base64'), isBase64Encoded: true }],
  ] as const) {
    test(`has its body ${title}, and the number of its bytes`, async () => {
      const request = httpRequestOf(event(body, 'POST'), ORIGIN);
      assert.equal(request.headers.get('Content-Length'), '8');
      assert.equal(await request.text(), 'name=a&b');
    });
  }

  test('has the request id of the gateway', () => {
    assert.equal(httpRequestOf(event(), ORIGIN).headers.get('X-Request-Id'), 'a-request');
  });

  const KEY = 'the key of the edge';
  for (const [title, trustedProxies, forwarded, address, shown] of [
    ['is where the gateway says', 1, '6.6.6.6, 192.0.2.1', '192.0.2.1', KEY],
    ['has the address that CloudFront saw', 2, '6.6.6.6, 203.0.113.9, 192.0.2.1', '203.0.113.9', KEY],
    ['that comes past CloudFront is where the gateway says', 2, '6.6.6.6, 192.0.2.1', '192.0.2.1', 'a guess'],
  ] as const) {
    test(`comes from a client that ${title}`, () => {
      const headers = { 'x-forwarded-for': forwarded, 'x-stowage-edge': shown };
      assert.equal(httpClientAddressOf(event({ headers }), trustedProxies, KEY), address);
    });
  }
});

describe('a result for an HTTP API', () => {
  test('has each cookie apart, and no header that the gateway sets', async () => {
    const headers = new Headers({ 'Content-Type': 'text/html', 'Content-Length': '1', Date: 'now' });
    for (const cookie of ['a=1; Path=/', 'b=2; Expires=Fri, 27 Nov 2026 00:00:00 GMT'])
      headers.append('Set-Cookie', cookie);
    assert.deepEqual(await httpResultOf(new Response('x', { status: 201, headers })), {
      statusCode: 201,
      headers: { 'content-type': 'text/html' },
      cookies: ['a=1; Path=/', 'b=2; Expires=Fri, 27 Nov 2026 00:00:00 GMT'],
      body: 'eA==',
      isBase64Encoded: true,
    });
  });
});
