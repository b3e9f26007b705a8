// What the app does for every request: limits, security headers, audit, TLS, client addresses.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditEntry } from '../../lib/auth/audit.ts';
import type { Caller } from '../../lib/auth/callers/caller.ts';
import { Gate } from '../../lib/auth/gate.ts';
import { RequestLimits } from '../../lib/auth/request-limits.ts';
import { createLog } from '../../lib/model/log.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { createApp } from '../../lib/server/app.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import {
  type RegistryServer,
  startRegistry,
  TEST_KEYS,
  TEST_SETTINGS,
  TEST_VERSION,
} from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { codesOf, locationOf, V2Client, withDigest } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, openTestAuth, type TestAuth } from './test-auth.ts';

const fixture = (name: string) => readFile(new URL(`../fixtures/${name}`, import.meta.url));

describe('every request to a registry', () => {
  let storage: OpenedStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({ users: ['alice', 'bob'] });
    server = await startRegistry(storage.driver, { auth });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  for (const [path, headers] of [
    ['/', {}],
    ['/v2/', {}],
    ['/v2/', basic('alice')],
    ['/v2/a/b/manifests/none', basic('alice')],
    ['/v1/_ping', {}],
    ['/nowhere', {}],
  ] as const) {
    it(`the answer to ${path} has the headers that keep browsers from rendering it`, async () => {
      const response = await fetch(new URL(path, server.url), { headers });
      assert.equal(response.headers.get('X-Content-Type-Options'), 'nosniff');
      assert.match(response.headers.get('Content-Security-Policy') ?? '', /default-src 'none'.*sandbox/);
      for (const header of ['Server', 'X-Powered-By']) assert.equal(response.headers.get(header), null);
    });
  }

  for (const [title, send, status] of [
    ['headers', { path: '/v2/', headers: { ...basic('alice'), 'X-Long': 'x'.repeat(40_000) } }, 431],
    ['a path', { path: `/v2/${'a/'.repeat(20_000)}tags/list`, headers: basic('alice') }, 431],
    ['a name', { path: `/v2/${'a/'.repeat(200)}tags/list`, headers: basic('alice') }, 400],
    ['a password', { path: '/v2/', headers: basic('carol', 'x'.repeat(10_000)) }, 401],
    [
      'a manifest',
      { path: '/v2/a/b/manifests/x', headers: basic('alice'), body: `{"a":"${'x'.repeat(4 << 20)}"}` },
      413,
    ],
    [
      'JSON nested without end',
      { path: '/v2/a/b/manifests/x', headers: basic('alice'), body: '['.repeat(1 << 20) },
      400,
    ],
    [
      'JSON nested too deep',
      { path: '/v2/a/b/manifests/x', headers: basic('alice'), body: `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}` },
      400,
    ],
    [
      'a list of images',
      { path: '/v1/repositories/a/b/', headers: basic('alice'), body: `["${'x'.repeat(16 << 20)}"]` },
      413,
    ],
  ] as [string, { path: string; headers: Record<string, string>; body?: string }, number][]) {
    it(`${title} above its limit is refused`, async () => {
      const { path, headers, body } = send;
      const init = body === undefined ? {} : { method: 'PUT', body: Buffer.from(body) };
      assert.equal((await fetch(new URL(path, server.url), { headers, ...init })).status, status);
    });
  }

  it('a client that guesses passwords gets 429, a user that has logged in does not', async () => {
    const ping = (headers: Record<string, string>) => fetch(new URL('/v2/', server.url), { headers });
    assert.equal((await ping(basic('bob'))).status, 200);
    for (let i = 0; i < 10; i++) assert.equal((await ping(basic('bob', `guess ${i}`))).status, 401);
    const slowed = await ping(basic('bob', 'guess'));
    assert.equal(slowed.status, 429);
    assert.ok(Number(slowed.headers.get('Retry-After')) > 0);
    assert.deepEqual(await codesOf(slowed), ['TOOMANYREQUESTS']);
    assert.equal((await ping(basic('bob'))).status, 200);
    assert.equal((await ping(basic('alice'))).status, 200);
    assert.partialDeepStrictEqual(auth.audited.at(-1), {
      who: 'bob',
      action: 'login',
      outcome: 'refused',
      status: 429,
    });
  });

  it('64 uploads of one caller run at once, further ones wait, and those of other callers do not', async () => {
    const alice = new V2Client(server.url, basic('alice'));
    const starts = await Promise.all(Array.from({ length: 65 }, () => alice.start('a/b')));
    const stops: (() => void)[] = [];
    const endless = () =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.from('x'));
          stops.push(() => controller.close());
        },
      });
    const sent = starts.slice(0, 64).map((location) => alice.send('PATCH', location, { body: endless() }));
    const isWaiting = Symbol('waiting');
    let last: Promise<Response>;
    // Each of the 64 has come when the next waits.
    for (let i = 0; ; i++) {
      assert.ok(i < 50, 'the 65th upload does not wait');
      last = alice.send('PATCH', await alice.start('a/b'), { body: 'x' });
      if ((await Promise.race([last, sleep(200, isWaiting)])) === isWaiting) break;
    }
    const bob = new V2Client(server.url, basic('bob'));
    assert.equal((await bob.pushBlob('a/b', Buffer.from('of bob'))).response.status, 201);
    stops[0]?.();
    assert.equal((await last).status, 202);
    for (const stop of stops.slice(1)) stop();
    for (const response of await Promise.all(sent)) assert.equal(response.status, 202);
    assert.equal((await alice.pushBlob('a/b', Buffer.from('later'))).response.status, 201);
  });

  const assertAudited = (expected: readonly Partial<AuditEntry>[]) => {
    assert.equal(auth.audited.length, expected.length, JSON.stringify(auth.audited));
    for (const [index, entry] of expected.entries()) assert.partialDeepStrictEqual(auth.audited[index], entry);
  };

  it('every write is audited: caller, action, object, address and outcome', async () => {
    auth.audited.length = 0;
    const alice = new V2Client(server.url, basic('alice'));
    const { digest } = await alice.pushBlob('a/b', Buffer.from('{}'));
    await alice.send('DELETE', `/v2/a/b/blobs/${digest}`);
    await alice.send('DELETE', '/v2/a/b/manifests/none');
    await fetch(new URL('/v2/a/b/tags/list', server.url));
    const from = '127.0.0.1';
    const expected: Partial<AuditEntry>[] = [
      { who: 'alice', action: 'push', outcome: 'done', status: 202, repository: 'a/b', from, method: 'POST' },
      { who: 'alice', action: 'push', outcome: 'done', status: 201, repository: 'a/b', digest, from, method: 'PUT' },
      { who: 'alice', action: 'delete', outcome: 'done', status: 202, repository: 'a/b', digest, from },
      { who: 'alice', action: 'delete', outcome: 'failed', status: 404, repository: 'a/b', tag: 'none', from },
      { who: 'anonymous', action: 'pull', outcome: 'refused', status: 401, repository: 'a/b', from },
    ];
    assertAudited(expected);
  });

  it('the audit names the tags that a push sets or a delete removes', async () => {
    const alice = new V2Client(server.url, basic('alice'));
    const { digest, manifest } = await pushImage(alice, 'a/tagged', 'first', { contents: ['x'] });
    auth.audited.length = 0;
    await alice.pushManifest('a/tagged', `${digest}?tag=latest&tag=stable`, manifest);
    await alice.pushManifest('a/tagged', `${digest}?tag=latest&tag=stable`, {});
    await alice.send('DELETE', `/v2/a/tagged/manifests/${digest}`);
    const line = { who: 'alice', repository: 'a/tagged', digest };
    assertAudited([
      { ...line, action: 'push', outcome: 'done', tags: ['latest', 'stable'] },
      { ...line, action: 'push', outcome: 'failed', tags: ['latest', 'stable'] },
      { ...line, action: 'delete', outcome: 'done', tags: ['first', 'latest', 'stable'] },
    ]);
  });

  it('each step of an upload is audited under the caller that started it, without a login', async () => {
    const alice = new V2Client(server.url, basic('alice'));
    const anonymous = new V2Client(server.url);
    const location = await alice.start('a/b');
    auth.audited.length = 0;
    const next = locationOf(await anonymous.send('PATCH', location, { body: 'x' }));
    await anonymous.send('GET', next);
    await anonymous.send('DELETE', next);
    const line = { who: 'alice', action: 'push', outcome: 'done', repository: 'a/b' } as const;
    assertAudited([
      { ...line, method: 'PATCH', status: 202 },
      { ...line, method: 'DELETE', status: 204 },
    ]);
  });

  it('a long claimed name is cut in the audit', async () => {
    auth.audited.length = 0;
    const form = new URLSearchParams({ grant_type: 'password', username: 'x'.repeat(60_000), password: 'y' });
    await fetch(new URL('/v2/_token', server.url), { method: 'POST', body: form });
    await fetch(new URL('/v2/', server.url), { headers: basic('x'.repeat(10_000), 'y') });
    const line = { who: 'x'.repeat(64), action: 'login', outcome: 'refused' } as const;
    assertAudited([line, line]);
    assert.ok(auth.audited.every((entry) => JSON.stringify(entry).length < 400));
  });

  it('a caller that the gateway names is accepted, and the Authorization is not checked again', async () => {
    const app = createApp({
      registry: assembleRegistry(storage.driver, { copiesLayers: false }),
      keys: TEST_KEYS,
      log: createLog('critical'),
      isReady: async () => true,
      auth,
      settings: TEST_SETTINGS,
      version: TEST_VERSION,
    });
    const ping = async (caller: Caller | undefined, headers = {}) =>
      (await app.request('/v2/', { headers }, { caller, clientAddress: '192.0.2.1' })).status;
    assert.equal(await ping({ kind: 'user', name: 'carol', groups: [] }, basic('bob', 'wrong')), 200);
    assert.equal(await ping({ kind: 'anonymous' }, basic('bob')), 401);
    assert.equal(await ping(undefined, basic('bob')), 200);
  });

  it('is not ready while removed users would still be accepted', async () => {
    const login = auth.login ?? assert.fail('the registry has no logins');
    const refused = () => Promise.reject(new Error('no login'));
    const users = {
      usersProblem: async () => undefined,
      login: refused,
      holderOf: refused,
      findHolder: refused,
    };
    const ready = async (areUsersCurrent: boolean) => {
      const app = createApp({
        registry: assembleRegistry(storage.driver, { copiesLayers: false }),
        keys: TEST_KEYS,
        log: createLog('critical'),
        isReady: async () => true,
        auth: {
          ...auth,
          login: { ...login, authenticator: { ...users, areUsersCurrent: async () => areUsersCurrent } },
        },
        settings: TEST_SETTINGS,
        version: TEST_VERSION,
      });
      const response = await app.request('/readyz');
      return [response.status, await response.json()];
    };
    assert.deepEqual(await ready(true), [200, { status: 'ok' }]);
    assert.deepEqual(await ready(false), [503, { status: 'the users cannot be read again' }]);
  });

  it('writes by v1 are audited as well', async () => {
    auth.audited.length = 0;
    const image = newImage();
    await new V1Client(server.url, basic('alice').Authorization).push('a/old', [image], { v1: image.id });
    const written = auth.audited.map(({ who, action, outcome, repository, tag, image }) => ({
      who,
      action,
      outcome,
      repository,
      tag,
      image,
    }));
    const entry = {
      who: 'alice',
      action: 'push',
      outcome: 'done',
      repository: 'a/old',
      tag: undefined,
      image: undefined,
    };
    const ofImage = { ...entry, repository: undefined, image: image.id };
    assert.deepEqual(written, [entry, ofImage, ofImage, ofImage, { ...entry, tag: 'v1', image: image.id }, entry]);
  });

  it('no shared cache may keep what needs a login, also by an answer of 304', async () => {
    const image = newImage();
    await new V1Client(server.url, basic('alice').Authorization).push('a/cached', [image], { v1: image.id });
    const { digest } = await new V2Client(server.url, basic('alice')).pushBlob('a/cached', Buffer.from('of alice'));
    const parts = ['json', 'ancestry', 'layer', 'files'].map((part) => `/v1/images/${image.id}/${part}`);
    for (const path of [...parts, `/v2/a/cached/blobs/${digest}`]) {
      const etag = path.startsWith('/v1') ? {} : { 'If-None-Match': `"${digest}"` };
      for (const known of [{}, { 'If-Modified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT', ...etag }]) {
        const response = await fetch(new URL(path, server.url), { headers: { ...basic('alice'), ...known } });
        assert.equal(response.ok || response.status === 304, true, path);
        assert.match(response.headers.get('Cache-Control') ?? '', /^private, max-age=31536000\b/, path);
        assert.equal(response.headers.get('Expires'), null, path);
      }
    }
  });

  describe('to a server without a proxy', () => {
    const appWith = (audited: AuditEntry[], log = createLog('critical')) =>
      createApp({
        registry: assembleRegistry(storage.driver, { copiesLayers: false }),
        keys: TEST_KEYS,
        log,
        isReady: async () => true,
        auth: { gate: Gate.forOpenRegistry({ audit: (entry) => audited.push(entry) }), limits: new RequestLimits() },
        settings: TEST_SETTINGS,
        version: TEST_VERSION,
      });

    const CLIENT_GONE = 'client went away';

    it('a push whose client goes away is audited and logged, whatever the type of the reason', async () => {
      const audited: AuditEntry[] = [];
      const gone: string[] = [];
      const log = createLog('info', (line) => line.includes(CLIENT_GONE) && gone.push(line) > 0);
      const app = appWith(audited, log);
      const image = newImage();
      await app.request(`/v1/images/${image.id}/json`, { method: 'PUT', body: image.json });
      const start = async () => locationOf(await app.request('/v2/a/gone/blobs/uploads/', { method: 'POST' }));
      const digest = `sha256:${'0'.repeat(64)}`;
      for (const [method, path] of [
        ['PUT', `/v1/images/${image.id}/layer`],
        ['POST', `/v2/a/gone/blobs/uploads/?digest=${digest}`],
        ['PATCH', await start()],
        ['PUT', withDigest(await start(), digest)],
      ] as const) {
        for (const reason of ['Error: aborted', new Error('aborted')]) {
          audited.length = 0;
          gone.length = 0;
          const client = new AbortController();
          let pulls = 0;
          const body = new ReadableStream({
            pull: async (controller) => {
              if (++pulls <= 16) return controller.enqueue(Buffer.alloc(MiB)); // too many to be held in memory
              client.abort(reason);
              await new Promise(() => undefined);
            },
          });
          const headers = { 'Content-Length': `${20 * MiB}`, Host: 'registry.test' };
          await app.request(path, { method, body, headers, signal: client.signal, duplex: 'half' } as RequestInit);
          const about = `${method} ${path} with ${typeof reason}`;
          assert.deepEqual([audited.map(({ outcome }) => outcome), gone.length], [['failed'], 1], about);
        }
      }
    });

    it('each of many pushes whose connection is cut is audited and logged', async () => {
      const audited: AuditEntry[] = [];
      let gone = 0;
      const log = createLog('info', (line) => line.includes(CLIENT_GONE) && ++gone > 0);
      const plain = await startNodeServer(appWith(audited, log), { host: '127.0.0.1', port: 0 });
      const images = Array.from({ length: 20 }, () => newImage());
      for (const { id, json } of images) {
        await fetch(new URL(`/v1/images/${id}/json`, plain.url), { method: 'PUT', body: new Uint8Array(json) });
      }
      audited.length = 0;
      for (const { id } of images) {
        const socket = connect(Number(plain.url.port), plain.url.hostname);
        const head = `PUT /v1/images/${id}/layer HTTP/1.1\r\nHost: ${plain.url.host}\r\nContent-Length: 5000000\r\n\r\n`;
        await new Promise((sent) => socket.write(Buffer.concat([Buffer.from(head), Buffer.alloc(1000)]), sent));
        await sleep(20); // the registry has begun to store it
        socket.resetAndDestroy();
      }
      for (let round = 0; round < 100 && gone < images.length; round++) await sleep(20);
      plain.kill();
      await plain.stop();
      assert.deepEqual([audited.map(({ outcome }) => outcome), gone], [images.map(() => 'failed'), images.length]);
    });

    it('can use TLS; URLs in answers then begin with https', async () => {
      const tls = { cert: await fixture('localhost-cert.pem'), key: await fixture('localhost-key.pem') };
      const secure = await startNodeServer(appWith([]), { host: '127.0.0.1', port: 0, tls });
      assert.equal(secure.url.protocol, 'https:');
      const location = await new Promise<string | undefined>((resolve, reject) => {
        const url = new URL(
          `/v2/a/b/blobs/uploads/?digest=sha256:${'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}`,
          secure.url,
        );
        httpsRequest(url, { method: 'POST', ca: tls.cert, servername: 'localhost' }, (response) => {
          response.resume();
          resolve(response.headers.location);
        })
          .on('error', reject)
          .end();
      });
      assert.match(location ?? '', /^https:\/\/127\.0\.0\.1:\d+\/v2\/a\/b\/blobs\//);
      secure.kill();
      await secure.stop();
    });

    for (const [title, trustedProxies, forwarded, from] of [
      ['ignores the header without trusted proxies', 0, '203.0.113.9', '127.0.0.1'],
      [
        'takes the address that one trusted proxy has added, not the one before it',
        1,
        '198.51.100.1, 203.0.113.9',
        '203.0.113.9',
      ],
      [
        'takes the address that the outer of two trusted proxies has added',
        2,
        '198.51.100.1, 203.0.113.9, 10.0.0.1',
        '203.0.113.9',
      ],
      ['takes the address of the connection if a trusted proxy adds none', 1, '', '127.0.0.1'],
    ] as const) {
      it(`X-Forwarded-For: ${title}`, async () => {
        const audited: AuditEntry[] = [];
        const plain = await startNodeServer(appWith(audited), { host: '127.0.0.1', port: 0, trustedProxies });
        const headers = forwarded ? { 'X-Forwarded-For': forwarded } : {};
        await fetch(new URL('/v2/a/b/blobs/uploads/', plain.url), { method: 'POST', headers });
        assert.equal(audited[0]?.from, from);
        plain.kill();
        await plain.stop();
      });
    }
  });

  it('an upload session is invalid for another upload or repository, and cannot be forged', async () => {
    const alice = new V2Client(server.url, basic('alice'));
    const [one, other] = [await alice.start('a/b'), await alice.start('a/c')];
    const state = (location: string) => location.split('?')[1] ?? '';
    for (const location of [
      `${one.split('?')[0]}?${state(other)}`,
      one.replace('/a/b/', '/a/c/'),
      one.slice(0, -2),
      `${one.split('?')[0]}?_state=e30.e30`,
      one.split('?')[0] ?? '',
    ]) {
      const response = await fetch(new URL(location, server.url), { method: 'PATCH', body: 'x' });
      assert.equal(response.status, 404, location);
    }
    assert.equal(locationOf(await alice.send('GET', one)).split('?')[0], one.split('?')[0]);
  });
});
