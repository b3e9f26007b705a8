// Health checks of load balancers and old tools.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { openTestAuth } from '../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';

/** Sends these lines. @returns the headers of the answer by lower-case name, `status`, and the body */
async function sendLines(url: URL, ...lines: string[]): Promise<Record<string, string>> {
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  await once(socket, 'close');
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
  const [first = '', ...headers] = head.split('\r\n');
  const fields = headers.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.replace(/^[^:]*: /, '')]);
  return { ...Object.fromEntries(fields), status: first.split(' ')[1], body };
}

describe('a plain check', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  it('of HAProxy, which is HTTP/1.0 without Host, is answered', async () => {
    const answer = await sendLines(server.url, 'OPTIONS / HTTP/1.0');
    assert.equal(answer.status, '204');
    assert.equal(answer.allow, 'GET, HEAD, OPTIONS');
  });

  it('by HTTP/1.0 without Host gets whole answers with relative URLs', async () => {
    const ping = await sendLines(server.url, 'GET /v2/ HTTP/1.0');
    assert.deepEqual([ping.status, ping.body, ping['transfer-encoding']], ['200', '{}', undefined]);
    assert.equal((await sendLines(server.url, 'GET /v1/_ping HTTP/1.0')).status, '200');
    assert.equal((await sendLines(server.url, 'GET /healthz HTTP/1.0')).status, '200');
    const upload = await sendLines(server.url, 'POST /v2/old/app/blobs/uploads/ HTTP/1.0', 'Content-Length: 0');
    assert.equal(upload.status, '202');
    assert.match(upload.location ?? '', /^\/v2\/old\/app\/blobs\/uploads\//);
  });

  it('of HTTP/1.1 needs a Host, which may be empty', async () => {
    assert.equal((await sendLines(server.url, 'GET /v2/ HTTP/1.1', 'Connection: close')).status, '400');
    assert.equal((await sendLines(server.url, 'GET /v2/ HTTP/1.1', 'Host:', 'Connection: close')).status, '200');
  });

  it('without Host is challenged by Basic, since a token needs an absolute URL', async () => {
    const access = [{ repositories: '*', users: 'anonymous', actions: 'pull' }];
    const guarded = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'], access }) });
    const answer = await sendLines(guarded.url, 'GET /v2/ HTTP/1.0');
    assert.deepEqual([answer.status, answer['www-authenticate']], ['401', 'Basic realm="Ours"']);
    const named = await sendLines(guarded.url, 'GET /v2/ HTTP/1.0', 'Host: registry.example');
    assert.match(named['www-authenticate'] ?? '', /^Bearer realm="http:\/\/registry\.example\/v2\/_token"/);
    await guarded.stop();
  });

  for (const [path, allowed] of [
    ['*', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
    ['/', 'GET, HEAD, OPTIONS'],
    ['/healthz', 'GET, HEAD, OPTIONS'],
    ['/v2', 'GET, HEAD, OPTIONS'],
    ['/v2/', 'GET, HEAD, OPTIONS'],
    ['/v2/_catalog', 'GET, HEAD, OPTIONS'],
    ['/v2/a/b/tags/list', 'GET, HEAD, OPTIONS'],
    ['/v2/a/b/manifests/latest', 'GET, HEAD, PUT, DELETE, OPTIONS'],
    ['/v2/a/b/blobs/uploads/', 'POST, OPTIONS'],
    ['/v2/a/b/blobs/uploads/x', 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS'],
    ['/v1/_ping', 'GET, HEAD, OPTIONS'],
    ['/v1/repositories/a/b/tags/latest', 'GET, HEAD, PUT, DELETE, OPTIONS'],
  ] as const) {
    it(`OPTIONS ${path} lists the methods that the path takes`, async () => {
      const answer = await sendLines(server.url, `OPTIONS ${path} HTTP/1.1`, 'Host: x', 'Connection: close');
      assert.deepEqual([answer.status, answer.allow, answer.body], ['204', allowed, '']);
    });
  }

  it('OPTIONS of an unknown path is 404, and a read-only registry answers OPTIONS', async () => {
    const send = async (url: URL, path: string) =>
      (await sendLines(url, `OPTIONS ${path} HTTP/1.1`, 'Host: x', 'Connection: close')).status;
    assert.equal(await send(server.url, '/v2/nothing'), '404');
    const readOnly = await startRegistry(storage.driver, { isReadOnly: true });
    assert.equal(await send(readOnly.url, '/v2/'), '204');
    await readOnly.stop();
  });
});
