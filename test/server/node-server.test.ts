import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { listenProblem } from '../../lib/server/listen-error.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';

const TIMEOUT = { timeout: 5000 };

it('stops although a client keeps a connection open on which it has sent nothing', TIMEOUT, async (t) => {
  const server = await startNodeServer(new Hono(), { host: '127.0.0.1', port: 0 });
  const socket = connect(Number(server.url.port), '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  await fetch(server.url); // by now the server knows of the other connection
  const closed = once(socket, 'close');
  await Promise.all([server.stop(), closed]);
});

it('stops only after the answer under way is sent', TIMEOUT, async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: go, resolve: goOn } = Promise.withResolvers<void>();
  const app = new Hono().get('/', async (c) => {
    ask();
    await go;
    return c.text('whole');
  });
  const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
  const answer = fetch(server.url);
  await asked;
  let hasStopped = false;
  const stopped = server.stop().then(() => (hasStopped = true));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(hasStopped, false);
  goOn();
  assert.equal(await (await answer).text(), 'whole');
  await stopped;
});

describe('many requests at once', () => {
  const PIPELINED = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(63);
  const LAST = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

  it(
    'begin in their order, a few in each turn of the event loop, in which Node accepts one connection',
    TIMEOUT,
    async (t) => {
      let begun = 0;
      const inTurns: number[] = [];
      const app = new Hono().get('/', (c) => {
        if (begun === 0)
          setImmediate(() => {
            inTurns.push(begun);
            begun = 0;
          });
        return c.text(String(++begun));
      });
      const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
      t.after(() => server.stop());
      const socket = connect(Number(server.url.port), '127.0.0.1');
      socket.write(PIPELINED + LAST);
      assert.equal((await text(socket)).match(/HTTP\/1\.1 200 OK/g)?.length, 64);
      assert.equal(
        inTurns.reduce((sum, each) => sum + each, 0),
        64,
      );
      // Two groups of eight: those that wait, and those that arrive.
      assert.ok(Math.max(...inTurns) <= 16, String(inTurns));
    },
  );

  it('end the connection on which too many wait for their answers', TIMEOUT, async (t) => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const app = new Hono().get('/', async (c) => {
      await released;
      return c.text('late');
    });
    const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
    t.after(async () => {
      release();
      await server.stop();
    });
    const socket = connect(Number(server.url.port), '127.0.0.1').on('error', () => undefined);
    socket.resume().write(PIPELINED.repeat(5));
    await once(socket, 'close');
  });

  it('are any number on a connection that waits for its answers', TIMEOUT, async (t) => {
    const app = new Hono().get('/', (c) => c.text('one'));
    const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
    t.after(() => server.stop());
    const socket = connect(Number(server.url.port), '127.0.0.1').setEncoding('latin1');
    let answers = '';
    socket.on('data', (chunk) => (answers += chunk));
    for (let round = 1; round <= 5; round++) {
      socket.write(PIPELINED);
      while (answers.split('200 OK').length <= 63 * round) await nextTurn();
    }
    socket.end();
  });

  it('are not begun any more once their client has gone', TIMEOUT, async (t) => {
    let begun = 0;
    const app = new Hono<{ Bindings: HttpBindings }>().get('/', (c) => {
      begun++;
      c.env.incoming.socket.destroy();
      return c.text('too late');
    });
    const server = await startNodeServer(app as unknown as Hono, { host: '127.0.0.1', port: 0 });
    t.after(() => server.stop());
    const socket = connect(Number(server.url.port), '127.0.0.1');
    socket.on('error', () => undefined).write(PIPELINED);
    await once(socket, 'close');
    await fetch(server.url).catch(() => undefined);
    assert.ok(begun <= 9, `${begun} were begun`);
  });
});

it('names the options that choose another port if the port is in use', async () => {
  const server = await startNodeServer(new Hono(), { host: '127.0.0.1', port: 0 });
  const port = Number(server.url.port);
  try {
    await assert.rejects(startNodeServer(new Hono(), { host: '127.0.0.1', port }), {
      message: `port ${port} of 127.0.0.1 is in use: choose another by --port or REGISTRY_PORT`,
    });
  } finally {
    await server.stop();
  }
});

it('names AirPlay for port 5000 on macOS only', () => {
  const host = '127.0.0.1';
  assert.match(
    listenProblem('EADDRINUSE', { host, port: 5000, platform: 'darwin' }) ?? '',
    /^port 5000 of 127\.0\.0\.1 is in use: choose another by --port or REGISTRY_PORT \(such as 5001\);.* AirPlay Receiver/,
  );
  for (const [code, port, platform] of [
    ['EADDRINUSE', 5000, 'linux'],
    ['EADDRINUSE', 5001, 'darwin'],
    ['EACCES', 5000, 'darwin'],
  ] as const) {
    const problem = listenProblem(code, { host, port, platform });
    assert.ok(problem && !problem.includes('AirPlay'), problem);
  }
  assert.equal(listenProblem('EMFILE', { host, port: 5000, platform: 'darwin' }), undefined);
});
