import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';

const HOSTS = [
  'a"b',
  'a",realm="https://evil.test',
  'a\\"b',
  'evil.test@registry.test',
  'registry.test/evil',
  'registry.test?evil',
  'registry.test#evil',
  'registry.test evil',
  'evil,evil"x',
  'registry.test\tevil',
  'registry.test\\evil',
  "registry.test'evil",
  'registry.test<evil>',
  'registry.test%0d%0aEvil: 1',
  'registry.test\u00e9evil',
  'registry.test:80evil',
  'registry.test:999999',
  '[::1"evil]',
  'http://evil',
  '',
];

/** Node refuses a CR alone and other control characters. CR LF ends the header. */
const BREAKS = ['a\rEvil: 1', 'a\u0000evil', 'a\u0007evil'];

describe('an invalid Host', () => {
  let storage: OpenedStorage;
  const servers: RegistryServer[] = [];
  before(async () => {
    storage = await openFiles();
    const auth = await openTestAuth({
      users: ['alice'],
      access: [
        { repositories: 'x', users: 'anonymous', actions: 'pull' },
        { repositories: '*', users: 'alice', actions: ['pull', 'push'] },
      ],
    });
    for (const trustedProxies of [0, 1])
      servers.push(await startRegistry(storage.driver, { auth, trustedProxies, absoluteLocations: 'always' }));
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await storage.close();
  });

  const headOf = async (url: URL, method: string, path: string, headers: Record<string, string>): Promise<string> => {
    const socket = connect(Number(url.port), url.hostname);
    const lines = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'));
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    await once(socket, 'close');
    return answer.slice(0, answer.indexOf('\r\n\r\n'));
  };

  it('a valid Host, for comparison, appears in the URLs of answers', async () => {
    const [server] = servers;
    assert.ok(server);
    const head = await headOf(server.url, 'GET', '/v2/y/tags/list', { Host: 'Registry.test:81' });
    assert.match(head, /realm="http:\/\/registry\.test:81\/v2\/_token",service="registry\.test:81"/i);
  });

  for (const host of [...HOSTS, ...BREAKS])
    for (const name of ['Host', 'X-Forwarded-Host'])
      it(`${JSON.stringify(host)} in ${name} appears in no URL of an answer`, async () => {
        for (const { url } of servers) {
          const headers = name === 'Host' ? { Host: host } : { Host: 'registry.test', [name]: host };
          const asked = [
            await headOf(url, 'GET', '/v2/', headers),
            await headOf(url, 'GET', '/v2/y/tags/list', headers),
            await headOf(url, 'GET', '/v1/repositories/y/images', headers),
            await headOf(url, 'POST', '/v2/y/blobs/uploads/', { ...headers, ...basic('alice'), 'Content-Length': '0' }),
            await headOf(url, 'PUT', '/v1/repositories/y/', { ...headers, ...basic('alice'), 'Content-Length': '0' }),
          ];
          for (const head of asked) {
            assert.match(head, /^HTTP\/1\.1 [24]\d\d /);
            assert.doesNotMatch(head, /evil|a"b|a\\/i);
            const challenge = /^www-authenticate: (.*)$/im.exec(head)?.[1];
            if (challenge !== undefined) assert.match(challenge, /^(?:\w+ )?\w+="[^"\\]*"(?:,\w+="[^"\\]*")*$/);
            const location = /^location: (.*)$/im.exec(head)?.[1];
            if (location !== undefined)
              assert.match(location, /^(?:http:\/\/registry\.test)?\/v2\/y\/blobs\/uploads\//);
          }
        }
      });
});
