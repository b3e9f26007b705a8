import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ReceivedRequest, requestOrigin } from '../../lib/http/request-origin.ts';

type Row = {
  title: string;
  headers: Record<string, string>;
  proxies?: number;
  more?: Partial<ReceivedRequest>;
  origin: string | undefined;
  isCertain?: boolean;
};

const LOCAL = { Host: '127.0.0.1:5000' };

const TLS: Partial<ReceivedRequest> = { isTls: true };

const ROWS: Row[] = [
  {
    title: 'the address of the server’s end of the connection',
    headers: LOCAL,
    origin: 'http://127.0.0.1:5000',
    isCertain: true,
  },
  {
    title: 'localhost on loopback',
    headers: { Host: 'LocalHost:5000' },
    origin: 'http://localhost:5000',
    isCertain: true,
  },
  {
    title: 'an IPv6 address',
    headers: { Host: '[::1]:5000' },
    more: { localAddress: '::1' },
    origin: 'http://[::1]:5000',
    isCertain: true,
  },
  {
    title: 'an IPv4 address, on a socket for IPv6 and IPv4',
    headers: { Host: '10.0.0.7:5000' },
    more: { localAddress: '::ffff:10.0.0.7' },
    origin: 'http://10.0.0.7:5000',
    isCertain: true,
  },
  {
    title: 'a host name, which may be that of a proxy that ends TLS',
    headers: { Host: 'registry.example:5000' },
    origin: 'http://registry.example:5000',
  },
  {
    title: 'localhost, from outside the container',
    headers: { Host: 'localhost:5000' },
    more: { localAddress: '172.17.0.2' },
    origin: 'http://localhost:5000',
  },
  {
    title: 'another port than that of the connection',
    headers: { Host: '127.0.0.1:8080' },
    origin: 'http://127.0.0.1:8080',
  },
  {
    title: 'nginx with its defaults, which sends HTTP/1.0',
    headers: LOCAL,
    more: { httpVersion: '1.0' },
    origin: 'http://127.0.0.1:5000',
  },
  {
    title: 'a host name with TLS of the server',
    headers: { Host: 'registry.example:5000' },
    more: TLS,
    origin: 'https://registry.example:5000',
    isCertain: true,
  },
  {
    title: 'the default port of https',
    headers: { Host: 'registry.example' },
    more: { ...TLS, localPort: 443 },
    origin: 'https://registry.example',
    isCertain: true,
  },
  ...['Forwarded', 'Via', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Port'].map((name) => ({
    title: `${name} of an untrusted proxy`,
    headers: { ...LOCAL, [name]: '8443' },
    origin: 'http://127.0.0.1:5000',
  })),
  {
    title: 'X-Forwarded-Proto of any proxy',
    headers: { Host: 'registry.example', 'X-Forwarded-Proto': 'https' },
    origin: 'https://registry.example',
  },
  {
    title: 'a trusted proxy that sends X-Forwarded-Proto',
    headers: { Host: 'registry.example', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example',
    isCertain: true,
  },
  {
    title: 'a trusted proxy without X-Forwarded-Proto',
    headers: { Host: 'registry.example', 'X-Forwarded-For': '10.1.1.1' },
    proxies: 1,
    origin: 'http://registry.example',
  },
  {
    title: 'X-Forwarded-Host of a trusted proxy',
    headers: { Host: 'backend:5000', 'X-Forwarded-Host': 'registry.example:8443', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example:8443',
    isCertain: true,
  },
  {
    title: 'X-Forwarded-Port of a trusted proxy',
    headers: { Host: 'registry.example', 'X-Forwarded-Port': '8443', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example:8443',
    isCertain: true,
  },
  {
    title: 'X-Forwarded-Host and -Port',
    headers: {
      Host: 'b',
      'X-Forwarded-Host': 'registry.example',
      'X-Forwarded-Port': '8443',
      'X-Forwarded-Proto': 'https',
    },
    proxies: 1,
    origin: 'https://registry.example:8443',
    isCertain: true,
  },
  {
    title: 'the port of the host, which precedes X-Forwarded-Port',
    headers: { Host: 'registry.example:8443', 'X-Forwarded-Port': '443', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example:8443',
    isCertain: true,
  },
  {
    title: 'X-Forwarded-Port 80 of a proxy behind the one that ended TLS',
    headers: { Host: 'registry.example', 'X-Forwarded-Port': '80', 'X-Forwarded-Proto': 'https' },
    proxies: 2,
    origin: 'https://registry.example',
    isCertain: true,
  },
  {
    title: 'the items that the outermost of two trusted proxies appended, not those of the client',
    headers: {
      Host: 'backend:5000',
      'X-Forwarded-Host': 'evil.example, registry.example, inner',
      'X-Forwarded-Proto': 'http, https, http',
    },
    proxies: 2,
    origin: 'https://registry.example',
    isCertain: true,
  },
  {
    title: 'an invalid X-Forwarded-Host',
    headers: { Host: 'registry.example', 'X-Forwarded-Host': 'a"b', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example',
    isCertain: true,
  },
  { title: 'another scheme', headers: { ...LOCAL, 'X-Forwarded-Proto': 'gopher' }, origin: 'http://127.0.0.1:5000' },
  { title: 'no Host', headers: {}, origin: undefined },
  ...['', 'a"b', 'a b', 'user@host', 'host/path', 'host:port', 'host:99999', '[', 'a,b', '\\'].map((host) => ({
    title: `an invalid Host: ${JSON.stringify(host)}`,
    headers: { Host: host },
    origin: undefined,
  })),
];

describe('the origin of a request', () => {
  it('keeps the host as the client wrote it beside the URL', () => {
    const request = { httpVersion: '1.1', isTls: false, localAddress: '127.0.0.1', localPort: 5000, trustedProxies: 0 };
    const actual = requestOrigin({
      ...request,
      header: (name) => (name === 'Host' ? 'Registry.example:80' : undefined),
    });
    assert.deepEqual([actual?.origin, actual?.authority], ['http://registry.example', 'Registry.example:80']);
  });

  for (const { title, headers, proxies = 0, more, origin, isCertain = false } of ROWS) {
    it(title, () => {
      const header = (name: string) => headers[name];
      const request = { header, httpVersion: '1.1', isTls: false, localAddress: '127.0.0.1', localPort: 5000 };
      const actual = requestOrigin({ ...request, trustedProxies: proxies, ...more });
      assert.deepEqual(actual && [actual.origin, actual.isCertain], origin && [origin, isCertain]);
    });
  }
});
