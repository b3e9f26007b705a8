import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hono } from 'hono';
import { bodyOf } from '../../lib/http/request.ts';
import { discardBodyAfterResponse } from '../../lib/server/drain-request.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';

const TIMEOUT = { timeout: 60_000 };
const PIECE = Buffer.alloc(64 * 1024);
const PIECES = 20;

/** Longer than hono's own patience of 500 ms. */
const PAUSE_MS = 60;

describe('a client that sends all of its body before it reads', { concurrency: true }, () => {
  const refusals: Record<string, (body: AsyncIterable<Uint8Array>) => Promise<unknown>> = {
    'at once': async () => undefined,
    'after some of it': (body) => body[Symbol.asyncIterator]().next(),
    'after some of it, with the rest cancelled': async (body) => {
      for await (const _ of body) return;
    },
  };
  for (const [when, take] of Object.entries(refusals)) {
    it(`gets a refusal ${when}, and can reuse the connection`, TIMEOUT, async (t) => {
      const socket = await connectTo(t, await serve(t, take));
      await sendSlowly(socket, 'PUT / HTTP/1.1\r\nHost: test');
      socket.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n');
      const answers = (await Array.fromAsync(socket)).join('');
      assert.match(answers, /^HTTP\/1\.1 403 .*refused.*HTTP\/1\.1 200 .*here/s);
    });

    for (const [what, request] of [
      ['whose connection ends with the answer', 'PUT / HTTP/1.1\r\nHost: test\r\nConnection: close'],
      ['of HTTP/1.0, as proxies speak it', 'PUT / HTTP/1.0\r\nHost: test'],
    ] as const) {
      it(`gets a refusal ${when}, one ${what}`, TIMEOUT, async (t) => {
        const socket = await connectTo(t, await serve(t, take));
        await sendSlowly(socket, request);
        assert.match((await Array.fromAsync(socket)).join(''), /^HTTP\/1\.1 403 .*refused/s);
      });
    }
  }

  const serve = async (t: TestContext, take: (body: AsyncIterable<Uint8Array>) => Promise<unknown>) => {
    const app = new Hono()
      .put('/', async (c) => {
        await take(bodyOf(c));
        return c.text('refused', 403);
      })
      .get('/', (c) => c.text('here'));
    const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
    t.after(() => server.stop());
    return Number(server.url.port);
  };

  const sendSlowly = async (socket: Socket, request: string) => {
    await write(socket, Buffer.from(`${request}\r\nContent-Length: ${PIECES * PIECE.length}\r\n\r\n`));
    for (let sent = 0; sent < PIECES; sent++) {
      await write(socket, PIECE);
      await sleep(PAUSE_MS);
    }
  };
});

it('a connection is closed if the body has not ended in time', TIMEOUT, async (t) => {
  const socket = await connectTo(t, await listen(t, refuse));
  socket.write('PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n');
  assert.match((await Array.fromAsync(socket)).join(''), /^HTTP\/1\.1 403 /);
});

it('a connection stays open if the body has ended in time', TIMEOUT, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let ended = Promise.withResolvers<void>();
  const port = await listen(t, (request, response) => {
    request.once('end', ended.resolve);
    refuse(request, response);
  });
  const socket = await connectTo(t, port);
  const answers = socket[Symbol.asyncIterator]();
  for (let request = 0; request < 3; request++) {
    ended = Promise.withResolvers();
    socket.write('PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345');
    const { value } = await answers.next();
    assert.match(String(value), /^HTTP\/1\.1 403 /);
    socket.write('67890');
    await ended.promise;
    t.mock.timers.tick(2 * LIMIT_MS);
  }
});

const LIMIT_MS = 100;

const refuse: RequestListener = (request: IncomingMessage, response) => {
  discardBodyAfterResponse(response, request, LIMIT_MS);
  response.writeHead(403).end();
};

async function listen(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  t.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function connectTo(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** @throws Error if the other end has closed the connection */
const write = (socket: Socket, bytes: Uint8Array) =>
  new Promise<void>((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));
