import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLog } from '../../lib/model/log.ts';
import type { NodeServer } from '../../lib/server/node-server.ts';
import { serve } from '../../lib/server/serve.ts';
import { htpasswdOf } from '../auth/test-auth.ts';
import { loadKeys } from '../config/load-text.ts';
import { sendRaw } from '../support/raw-request.ts';

const PING = '/v2/';
const UPLOADS = '/v2/team/app/blobs/uploads/';
const SAME = { 'Sec-Fetch-Site': 'same-origin' };
const EVIL = { Host: 'evil.test:5000', Origin: 'http://evil.test:5000', ...SAME };

describe('an open registry on loopback', () => {
  const servers: NodeServer[] = [];
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'browser-guard-'));
    await writeFile(join(directory, 'users'), await htpasswdOf(['alice']));
  });
  after(async () => {
    for (const server of servers) {
      server.kill();
      await server.stop();
    }
    await rm(directory, { recursive: true });
  });

  const start = async (keys: Record<string, unknown> = {}, host = '127.0.0.1'): Promise<NodeServer> => {
    const { config } = loadKeys({ storage_path: join(directory, `data${servers.length}`), ...keys });
    const log = createLog('critical', () => true);
    const server = await serve({ ...config, host, port: 0 }, { log, version: '0' });
    servers.push(server);
    return server;
  };
  const read = async (server: NodeServer, headers: Record<string, string>) =>
    (await sendRaw(server.url, 'GET', PING, headers)).status;
  const write = async (server: NodeServer, headers: Record<string, string>) =>
    (await sendRaw(server.url, 'POST', UPLOADS, headers)).status;

  describe('a Host', () => {
    let server: NodeServer;
    before(async () => (server = await start()));
    const own = ['127.0.0.1:5000', '127.9.9.9', 'localhost', 'LocalHost.:5000', 'a.localhost:1', '[::1]:5000'];
    for (const Host of [...own, 'host.docker.internal:5000', 'host.containers.internal'])
      it(`${Host} names this machine: browsers are served`, async () => {
        assert.equal(await read(server, { Host, ...SAME }), 200);
        assert.equal(await read(server, { Host, 'Sec-Fetch-Site': 'none' }), 200);
        assert.equal(await write(server, { Host, Origin: `http://${Host}`, ...SAME }), 202);
      });

    const foreign = [
      'evil.test',
      'evil.test:5000',
      'localhost.evil.test',
      'xlocalhost',
      '127.0.0.1.evil.test',
      '0.0.0.0',
    ];
    const odd = ['1270.0.0.1', '[::2]', '192.168.0.2', ''];
    for (const Host of [...foreign, ...odd])
      it(`"${Host}" does not name this machine: browsers are refused`, async () => {
        for (const headers of [SAME, { 'Sec-Fetch-Site': 'none' }, { Origin: `http://${Host}` }, { Origin: 'null' }]) {
          assert.equal(await read(server, { Host, ...headers }), 403);
          assert.equal(await write(server, { Host, ...headers }), 403);
        }
      });
    for (const Host of foreign)
      it(`${Host} is served to a client that is no browser`, async () => {
        assert.equal(await read(server, { Host }), 200);
        assert.equal(await write(server, { Host, 'X-Forwarded-For': '192.0.2.1' }), 202);
      });

    for (const Host of ['evil.test@127.0.0.1', 'localhost@evil.test', '127.0.0.1#.evil.test', 'localhost/evil.test'])
      it(`"${Host}" is invalid: 400`, async () => assert.equal(await read(server, { Host, ...SAME }), 400));

    it('is checked also where the page sends headers of a proxy', async () => {
      const told = { 'X-Forwarded-For': '127.0.0.1', 'X-Forwarded-Host': 'localhost', 'X-Forwarded-Proto': 'http' };
      assert.equal(await read(server, { ...EVIL, ...told }), 403);
    });

    it('is refused in the error format of the protocol, with advice', async () => {
      const v2 = await sendRaw(server.url, 'GET', PING, EVIL);
      assert.match(v2.body, /^\{"errors":\[\{"code":"DENIED","message":"[^"]*public_url[^"]*trusted_proxies"\}\]\}$/);
      const v1 = await sendRaw(server.url, 'GET', '/v1/_ping', EVIL);
      assert.equal(v1.status, 403);
      assert.match(v1.body, /^\{"error":"[^"]*public_url[^"]*"\}$/);
      for (const path of ['/', '/healthz', '/readyz', '/v1/search'])
        assert.equal((await sendRaw(server.url, 'GET', path, EVIL)).status, 403, path);
      assert.equal((await sendRaw(server.url, 'OPTIONS', PING, EVIL)).status, 403);
    });
  });

  describe('a write under a Host of this machine', () => {
    let server: NodeServer;
    let open: NodeServer;
    before(async () => {
      server = await start();
      open = await start({ cors: { origins: ['http://ui.test'] } });
    });
    const Host = 'localhost:5000';
    const foreign: Record<string, string>[] = [
      { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' },
      { Origin: 'http://evil.test' },
      { Origin: 'http://localhost:3000', 'Sec-Fetch-Site': 'same-site' },
      { Origin: 'http://localhost' },
      { Origin: 'http://127.0.0.1:5000' },
      { Origin: 'null' },
      { Origin: 'null', 'Sec-Fetch-Site': 'cross-site' },
      { Origin: 'chrome-extension://localhost:5000' },
      { Origin: 'http://localhost:5000', 'Sec-Fetch-Site': 'cross-site' },
    ];
    for (const headers of foreign)
      it(`is refused with ${JSON.stringify(headers)}; a read is served`, async () => {
        for (const one of [server, open]) {
          assert.equal(await write(one, { Host, ...headers }), 403);
          for (const method of ['PUT', 'DELETE', 'PATCH'])
            assert.equal(
              (await sendRaw(one.url, method, '/v1/repositories/team/app/tags/a', { Host, ...headers })).status,
              403,
            );
          assert.equal(await read(one, { Host, ...headers }), 200);
        }
      });

    it('is accepted from a page of an origin that cors.origins names', async () => {
      const headers = { Host, Origin: 'http://ui.test', 'Sec-Fetch-Site': 'cross-site' };
      assert.equal(await write(open, headers), 202);
      assert.equal(await write(server, headers), 403);
      assert.equal(await write(await start({ cors: { origins: ['*'] } }), headers), 202);
    });

    it('under a rebound name is refused even if cors.origins allows all', async () => {
      assert.equal(await write(await start({ cors: { origins: ['*'] } }), EVIL), 403);
    });

    it('is accepted from its own origin, also behind a proxy that ends TLS', async () => {
      assert.equal(await write(server, { Host: 'localhost', Origin: 'https://localhost', ...SAME }), 202);
      assert.equal(await write(server, { Host: 'localhost:80', Origin: 'http://localhost', ...SAME }), 202);
      assert.equal(await write(server, { Host, 'Sec-Fetch-Site': 'none' }), 202);
    });
  });

  it('serves browsers under the host of public_url', async () => {
    const server = await start({ public_url: 'https://registry.test:8443' });
    const Origin = 'https://registry.test:8443';
    assert.equal(await read(server, { Host: 'registry.test', ...SAME }), 200);
    assert.equal(await write(server, { Host: 'Registry.test:8443', Origin, ...SAME }), 202);
    assert.equal(await write(server, { Host: '127.0.0.1:5000', Origin, ...SAME }), 202); // nginx by its defaults
    assert.equal(await write(server, { Host: 'registry.test', Origin: 'https://evil.test' }), 403);
    assert.equal(await read(server, EVIL), 403);
  });

  it('has no browser guard with trusted_proxies: the proxy decides', async () => {
    const server = await start({ trusted_proxies: 1 });
    assert.equal(await write(server, EVIL), 202);
  });

  it('serves all browsers with logins or on another address', async () => {
    const withLogins = await start({ auth: { htpasswd: join(directory, 'users') } });
    assert.equal(await read(withLogins, EVIL), 401);
    const elsewhere = await start({}, '0.0.0.0');
    assert.equal((await sendRaw(new URL(`http://127.0.0.1:${elsewhere.url.port}`), 'POST', UPLOADS, EVIL)).status, 202);
  });

  it('is guarded if host is localhost', async () => {
    const { port } = (await start({}, 'localhost')).url;
    const asked = request({ host: 'localhost', port, path: PING, headers: EVIL }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    assert.equal(answer.statusCode, 403);
  });
});
