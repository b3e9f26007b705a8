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
  { title: 'the very address of this end', headers: LOCAL, origin: 'http://127.0.0.1:5000', isCertain: true },
  {
    title: 'localhost on loopback',
    headers: { Host: 'LocalHost:5000' },
    origin: 'http://localhost:5000',
    isCertain: true,
  },
  {
    title: 'an address of IPv6',
    headers: { Host: '[::1]:5000' },
    more: { localAddress: '::1' },
    origin: 'http://[::1]:5000',
    isCertain: true,
  },
  {
    title: 'an address of IPv4, to a server that listens to both',
    headers: { Host: '10.0.0.7:5000' },
    more: { localAddress: '::ffff:10.0.0.7' },
    origin: 'http://10.0.0.7:5000',
    isCertain: true,
  },
  {
    title: 'a name, behind which may be a proxy that ends TLS',
    headers: { Host: 'registry.example:5000' },
    origin: 'http://registry.example:5000',
  },
  {
    title: 'localhost, from outside of its container',
    headers: { Host: 'localhost:5000' },
    more: { localAddress: '172.17.0.2' },
    origin: 'http://localhost:5000',
  },
  {
    title: 'another port than the one of this end',
    headers: { Host: '127.0.0.1:8080' },
    origin: 'http://127.0.0.1:8080',
  },
  {
    title: 'nginx by its defaults, which speaks HTTP/1.0',
    headers: LOCAL,
    more: { httpVersion: '1.0' },
    origin: 'http://127.0.0.1:5000',
  },
  {
    title: 'a name with TLS of our own',
    headers: { Host: 'registry.example:5000' },
    more: TLS,
    origin: 'https://registry.example:5000',
    isCertain: true,
  },
  {
    title: 'the port of https',
    headers: { Host: 'registry.example' },
    more: { ...TLS, localPort: 443 },
    origin: 'https://registry.example',
    isCertain: true,
  },
  ...['Forwarded', 'Via', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Port'].map((name) => ({
    title: `${name} of a proxy that is not trusted`,
    headers: { ...LOCAL, [name]: '8443' },
    origin: 'http://127.0.0.1:5000',
  })),
  {
    title: 'X-Forwarded-Proto of any proxy',
    headers: { Host: 'registry.example', 'X-Forwarded-Proto': 'https' },
    origin: 'https://registry.example',
  },
  {
    title: 'a trusted proxy that tells the scheme',
    headers: { Host: 'registry.example', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example',
    isCertain: true,
  },
  {
    title: 'a trusted proxy that does not',
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
    title: 'the port that a host has, whatever X-Forwarded-Port says',
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
    title: 'what the outermost of two trusted proxies has seen, not what the client claims',
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
    title: 'X-Forwarded-Host that names no host',
    headers: { Host: 'registry.example', 'X-Forwarded-Host': 'a"b', 'X-Forwarded-Proto': 'https' },
    proxies: 1,
    origin: 'https://registry.example',
    isCertain: true,
  },
  { title: 'another scheme', headers: { ...LOCAL, 'X-Forwarded-Proto': 'gopher' }, origin: 'http://127.0.0.1:5000' },
  { title: 'no Host', headers: {}, origin: undefined },
  ...['', 'a"b', 'a b', 'user@host', 'host/path', 'host:port', 'host:99999', '[', 'a,b', '\\'].map((host) => ({
    title: `a Host that names none: ${JSON.stringify(host)}`,
    headers: { Host: host },
    origin: undefined,
  })),
];

describe('where a client reaches this process', () => {
  it('has its host kept letter by letter beside the URL', () => {
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
