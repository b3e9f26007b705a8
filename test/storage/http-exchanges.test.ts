import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { HttpAnswer } from '../../lib/storage/http-answer.ts';
import { type ExchangeOptions, type ExchangeRequest, HttpExchanges } from '../../lib/storage/http-exchanges.ts';
import { decodeText, KiB } from '../../lib/streams/bytes.ts';

const OK = 'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 2\r\n\r\nok';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

/** Answers one request on its connection. */
type Answer = (socket: Socket, request: string) => void;

describe('small exchanges by HTTP', { timeout: 20_000 }, () => {
  const ends: (() => void)[] = [];

  /** A server that answers requests one after the other, on any connection; the last answer is for all further ones. */
  const serve = async (answers: readonly (string | Answer)[], { tls = false } = {}) => {
    const requests: string[] = [];
    const sockets: Socket[] = [];
    const onConnection = (socket: Socket) => {
      sockets.push(socket);
      let arrived = '';
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        arrived += bytes.toString('latin1');
        const end = arrived.indexOf('\r\n\r\n') + 4;
        const length = Number(/content-length: (\d+)/.exec(arrived)?.[1] ?? 0);
        if (end < 4 || arrived.length < end + length) return;
        const request = arrived.slice(0, end + length);
        arrived = arrived.slice(end + length);
        const answer = answers[Math.min(requests.length, answers.length - 1)] ?? OK;
        requests.push(request);
        if (typeof answer === 'string') socket.write(answer, 'latin1');
        else answer(socket, request);
      });
    };
    let server: Server;
    if (tls) {
      const [cert, key] = await Promise.all(['cert', 'key'].map((part) => readFile(fixture(`localhost-${part}.pem`))));
      server = createTlsServer({ ...(cert && { cert }), ...(key && { key }) }, onConnection);
    } else server = createServer(onConnection);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    ends.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const origin = new URL(`${tls ? 'https' : 'http'}://localhost:${(server.address() as AddressInfo).port}`);
    return { origin, requests, sockets };
  };
  const create = (options: ExchangeOptions = {}) => {
    const exchanges = new HttpExchanges(options);
    ends.push(() => exchanges.close());
    const send = (origin: URL, more: Partial<ExchangeRequest> = {}): Promise<HttpAnswer> =>
      exchanges.send({ method: 'GET', origin, path: '/a', headers: { host: 'localhost' }, idleMs: 10_000, ...more });
    return { exchanges, send };
  };

  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  it('have status, headers in lower case and body, one after the other on one connection', async () => {
    const { origin, requests, sockets } = await serve([
      'HTTP/1.1 200 OK\r\neTAG: "e"\r\nVary:a\r\nvary: \tb \r\nCONTENT-LENGTH: 2\r\n\r\nok',
      'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone',
      'HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n',
      OK,
    ]);
    const { send } = create();
    const first = await send(origin);
    assert.deepEqual([first.status, decodeText(first.bytes)], [200, 'ok']);
    assert.deepEqual(first.headers, { etag: '"e"', vary: 'a, b', 'content-length': '2' });
    const second = await send(origin);
    assert.deepEqual([second.status, decodeText(second.bytes)], [404, 'none']);
    assert.equal((await send(origin)).status, 503);
    const body = Buffer.from('the body');
    await send(origin, { method: 'PUT', body, headers: { 'content-length': String(body.length) } });
    assert.equal(requests[0], 'GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n');
    assert.equal(requests[3], 'PUT /a HTTP/1.1\r\ncontent-length: 8\r\n\r\nthe body');
    assert.equal(sockets.length, 1);
    assert.equal(decodeText(first.bytes), 'ok', 'later answers do not overwrite it');
  });

  it('do not depend on where the server cuts its bytes', async () => {
    for (const answer of [OK, `${CHUNKED}2\r\no\r\r\nA\r\nk123456789\r\n0\r\n\r\n`]) {
      for (const size of [1, 2, 3, 7, 50]) {
        const { origin, sockets } = await serve([
          async (socket) => {
            socket.setNoDelay();
            for (let start = 0; start < answer.length; start += size) {
              await new Promise((resolve) => setImmediate(resolve));
              socket.write(answer.slice(start, start + size), 'latin1');
            }
          },
        ]);
        const { send } = create();
        for (let i = 0; i < 2; i++) {
          assert.equal(decodeText((await send(origin)).bytes), answer === OK ? 'ok' : 'o\rk123456789');
        }
        assert.equal(sockets.length, 1);
      }
    }
  });

  it('have a body of many chunks, or an empty one', async () => {
    const chunk = 'x'.repeat(40_000);
    const { origin, sockets } = await serve([
      `${CHUNKED}${`9c40\r\n${chunk}\r\n`.repeat(5)}0\r\n\r\n`,
      `${CHUNKED}0\r\n\r\n`,
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]);
    const { send } = create();
    assert.equal(decodeText((await send(origin)).bytes), chunk.repeat(5));
    assert.equal((await send(origin)).bytes.length, 0);
    assert.equal((await send(origin)).bytes.length, 0);
    assert.equal(sockets.length, 1);
  });

  it('have no body after HEAD, 204 and 304, also if a length is announced', async () => {
    const { origin, sockets } = await serve([
      'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
    ]);
    const { send } = create();
    const head = await send(origin, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.bytes.length], [200, '5000', 0]);
    assert.equal((await send(origin)).status, 304);
    assert.equal((await send(origin)).status, 204);
    assert.equal(sockets.length, 1);
  });

  for (const [title, answer] of [
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 3\r\n\r\nok'],
    ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['another encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
    ['a body of unknown length', 'HTTP/1.1 200 OK\r\n\r\nok'],
    ['a body that is too long', 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nok'],
    ['a body for 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok'],
    ['a body longer than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok'],
    ['another response behind it', OK + OK],
    ['another response behind 304', `HTTP/1.1 304 Not Modified\r\n\r\n${OK}`],
    ['a chunk longer than announced', `${CHUNKED}1\r\nok\r\n0\r\n\r\n`],
    ['a chunk of no size', `${CHUNKED}\r\n`],
    ['a chunk of negative size', `${CHUNKED}-1\r\n`],
    ['a chunk that is too long', `${CHUNKED}fffffff0\r\n`],
    ['an endless size of a chunk', `${CHUNKED}${'0'.repeat(2000)}`],
    ['an extension of a chunk', `${CHUNKED}2;a=b\r\nok\r\n0\r\n\r\n`],
    ['trailers', `${CHUNKED}2\r\nok\r\n0\r\nA: b\r\n\r\n`],
    ['more behind the last chunk', `${CHUNKED}2\r\nok\r\n0\r\n\r\nHTTP`],
    ['100 Continue', `HTTP/1.1 100 Continue\r\n\r\n${OK}`],
    ['early hints', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`],
    ['another version', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok'],
    ['a space behind the name of a header', 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok'],
    ['a bare line feed in a header', 'HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok'],
    ['an endless head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20 * KiB)}`],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ] as const) {
    it(`leave the request to another client after ${title}, and do not use the connection again`, async () => {
      const { origin, sockets } = await serve([answer, OK]);
      const { send } = create();
      await assert.rejects(send(origin));
      assert.equal(decodeText((await send(origin)).bytes), 'ok');
      assert.equal(sockets.length, 2);
    });
  }

  for (const [title, part] of [
    ['before the head', ''],
    ['in the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['in the body', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no'],
    ['in a chunk', `${CHUNKED}2\r\no`],
    ['between chunks', `${CHUNKED}2\r\nok\r\n`],
    ['before the end of the last chunk', `${CHUNKED}2\r\nok\r\n0\r\n`],
  ] as const) {
    it(`fail if the server closes the connection ${title}`, async () => {
      for (const end of ['end', 'resetAndDestroy'] as const) {
        const { origin } = await serve([(socket) => socket.write(part, () => socket[end]()), OK]);
        const { send } = create();
        await assert.rejects(send(origin));
        assert.equal((await send(origin)).status, 200);
      }
    });

    it(`fail if the server falls silent ${title}`, async () => {
      const { origin } = await serve([(socket) => void socket.write(part), OK]);
      const { send } = create();
      await assert.rejects(send(origin, { idleMs: 30 }));
      assert.equal((await send(origin)).status, 200);
    });
  }

  it('fail if the server refuses the connection', async () => {
    await assert.rejects(create().send(new URL('http://127.0.0.1:1/')));
  });

  for (const close of ['close', 'Close', 'keep-alive, close']) {
    it(`do not use a connection again after "Connection: ${close}"`, async () => {
      const { origin, sockets } = await serve([`HTTP/1.1 200 OK\r\nConnection: ${close}\r\nContent-Length: 0\r\n\r\n`]);
      const { send } = create();
      await send(origin);
      await send(origin);
      assert.equal(sockets.length, 2);
    });
  }

  for (const [title, act] of [
    ['has closed', (socket: Socket) => void socket.end()],
    ['has sent something on', (socket: Socket) => void socket.write(OK)],
  ] as const) {
    it(`do not use a connection that the server ${title} since`, async () => {
      const { origin, sockets } = await serve([OK]);
      const { send } = create();
      await send(origin);
      const [socket] = sockets;
      assert.ok(socket);
      const closed = once(socket, 'close');
      act(socket);
      await closed; // the client has answered by closing its side
      await send(origin);
      assert.equal(sockets.length, 2);
    });
  }

  it('do not use a connection again whose request the server has answered before it got all of it', async () => {
    const { origin, sockets } = await serve([OK]);
    const early = createServer((socket) => {
      socket.on('error', () => undefined);
      sockets.push(socket);
      socket.once('data', () => {
        socket.pause(); // what it has not read fills the buffers of the system
        socket.write('HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n');
      });
    });
    await once(early.listen(0, '127.0.0.1'), 'listening');
    ends.push(() => void early.close());
    const at = new URL(`http://127.0.0.1:${(early.address() as AddressInfo).port}`);
    const { send } = create();
    const body = Buffer.alloc(32 * 1024 * KiB);
    assert.equal((await send(at, { method: 'PUT', body })).status, 412);
    assert.equal((await send(at, { method: 'PUT', body })).status, 412);
    assert.equal(sockets.length, 2);
    assert.equal((await send(origin)).status, 200);
  });

  it('wait in their order while all connections are in use, and fail after a time', async () => {
    const answered: (() => void)[] = [];
    const { origin, requests, sockets } = await serve([
      (socket) => {
        answered.push(() => socket.write(OK));
        if (answered.length > 2) socket.write(OK);
      },
    ]);
    const { send } = create({ maxConnections: 2 });
    const under = [send(origin, { path: '/1' }), send(origin, { path: '/2' })];
    const waiting = [3, 4, 5].map((number) => send(origin, { path: `/${number}` }));
    while (answered.length < 2) await new Promise((resolve) => setImmediate(resolve));
    answered[0]?.();
    await Promise.all(waiting);
    answered[1]?.();
    await Promise.all(under);
    assert.deepEqual(
      requests.slice(2).map((request) => request.slice(4, 6)),
      ['/3', '/4', '/5'],
    );
    assert.equal(sockets.length, 2);
    const silent = await serve([() => undefined]);
    const impatient = create({ maxConnections: 1, waitMs: 20 });
    const first = impatient.send(silent.origin);
    await assert.rejects(impatient.send(silent.origin), /no connection is free/);
    assert.ok(silent.requests.length <= 1);
    while (silent.sockets.length < 1) await new Promise((resolve) => setImmediate(resolve));
    silent.sockets[0]?.destroy();
    await assert.rejects(first);
  });

  it('refuse heads that would not be what the caller means', async () => {
    const { origin, requests } = await serve([OK]);
    const { send } = create();
    await assert.rejects(send(origin, { headers: { a: 'b\r\nc: d' } }));
    await assert.rejects(send(origin, { headers: { a: 'ü' } }));
    await assert.rejects(send(origin, { path: '/a b' }));
    await assert.rejects(send(origin, { path: '/a\n' }));
    assert.deepEqual(requests, []);
  });

  it('over TLS use a connection again, and resume its session later', async (t) => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // the certificate is of no authority
    t.after(() => {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    });
    const { origin, sockets } = await serve(
      [OK, `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n${'x'.repeat(20_000)}`, OK],
      { tls: true },
    );
    const { send } = create();
    assert.equal(decodeText((await send(origin)).bytes), 'ok');
    assert.equal((await send(origin)).bytes.length, 20_000);
    assert.equal(sockets.length, 1);
    assert.equal((await send(origin)).status, 200);
    assert.deepEqual(
      sockets.map((socket) => Boolean((socket as TLSSocket).isSessionReused())),
      [false, true],
    );
  });
});

function fixture(name: string): URL {
  return new URL(`../fixtures/${name}`, import.meta.url);
}
