import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before as beforeAll, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Download, HttpDownloads } from '../../lib/storage/http-downloads.ts';
import { BUFFER_BYTES, Buffers } from '../../lib/streams/buffer-pool.ts';
import { type ByteSource, type LentBytes, streamOf } from '../../lib/streams/byte-source.ts';
import { KiB, MiB, readAll } from '../../lib/streams/bytes.ts';

const content = randomBytes(5 * MiB);
const OPTIONS = { asError: (error: unknown) => error };

const headOf = (sizeBytes: number, more = '') =>
  `HTTP/1.1 200 OK\r\nVary: Origin\r\nVary: Accept-Encoding\r\nContent-Length: ${sizeBytes}\r\n${more}\r\n`;

describe('downloads by HTTP', { timeout: 20_000 }, () => {
  const downloads = new HttpDownloads();
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;

  const listen = async (server: Server, scheme: string): Promise<URL> => {
    servers.push(server);
    server.on('connection', (socket: Socket) => sockets.add(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new URL(`${scheme}://localhost:${(server.address() as AddressInfo).port}/bucket/`);
  };
  /** A server that answers each request in its own way. */
  const serve = async (answer: (socket: Socket, request: string) => void, scheme = 'http'): Promise<URL> => {
    const onConnection = (socket: Socket) => {
      connections++;
      socket.on('error', () => undefined);
      socket.on('data', (request) => answer(socket, request.toString()));
    };
    if (scheme === 'http') return await listen(createServer(onConnection), scheme);
    const [cert, key] = await Promise.all(['cert', 'key'].map((part) => readFile(fixture(`localhost-${part}.pem`))));
    return await listen(createTlsServer({ ...(cert && { cert }), ...(key && { key }) }, onConnection), scheme);
  };
  const get = async (origin: URL, options = {}): Promise<Download | undefined> =>
    await downloads.get({ origin, path: '/a', headers: { Host: 'localhost' } }, { ...OPTIONS, ...options });
  const opened = async (origin: URL, options = {}): Promise<ByteSource> => {
    const download = await get(origin, options);
    assert.ok(download);
    return download.body;
  };

  afterEach(() => {
    connections = 0;
  });
  after(() => {
    downloads.close();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  it('have the headers and all bytes, one after the other on one connection', async () => {
    const requests: string[] = [];
    const origin = await serve((socket, request) => {
      requests.push(request);
      socket.write(headOf(content.length, 'ETag: "e"\r\n'));
      socket.write(content);
    });
    for (let i = 0; i < 3; i++) {
      const download = await get(origin);
      assert.equal(download?.status, 200);
      assert.equal(download.headers.etag, '"e"');
      assert.equal(download.headers.vary, 'Origin, Accept-Encoding');
      assert.ok(Buffer.from(await readAll(streamOf(download.body))).equals(content));
    }
    assert.deepEqual(requests, Array(3).fill('GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n'));
    assert.equal(connections, 1);
  });

  describe('over TLS', () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    beforeAll(() => {
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // the certificate is of no authority
    });
    after(() => {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    });

    // A record of TLS holds up to 16 KiB, and each write begins a new one.
    for (const sizeBytes of [content.length, 16 * KiB, 16 * KiB - 1, 16 * KiB + 1, 4099, BUFFER_BYTES / 2 + 1]) {
      it(`have all bytes, one after the other on one connection, written ${sizeBytes} bytes at a time`, async () => {
        const body = content.subarray(0, 2 * BUFFER_BYTES + 12_345);
        const origin = await serve((socket) => {
          const whole = Buffer.concat([Buffer.from(headOf(body.length)), body]);
          for (let start = 0; start < whole.length; start += sizeBytes) {
            socket.write(whole.subarray(start, start + sizeBytes));
          }
        }, 'https');
        for (let i = 0; i < 3; i++) {
          assert.ok(Buffer.from(await readAll(streamOf(await opened(origin)))).equals(body));
        }
        assert.equal(connections, 1);
      });
    }

    it('leave the request to another client after an endless head', async () => {
      const origin = await serve((socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`), 'https');
      assert.equal(await get(origin), undefined);
      await sleep(20); // without room for the rest of it, Node would not return from decrypting
    });

    for (const { end, announced, isClosed } of [
      { end: 'the server sends more than it announced', announced: 20_000, isClosed: false },
      { end: 'the reader closes the body', announced: 60_000, isClosed: true },
    ]) {
      it(`share no buffer with others while their connection may still write to it: ${end}`, async () => {
        const origin = await serve((socket) => {
          (socket as TLSSocket).setMaxSendFragment(512); // so that the client decrypts many records in one turn
          socket.write(headOf(announced));
          setTimeout(() => socket.write(content.subarray(0, 60_000)), 20);
        }, 'https');
        const body = await opened(origin);
        await assert.rejects(async () => {
          for (let lent = await body.next(); lent; lent = await body.next()) {
            lent.release();
            if (isClosed) await body.close();
          }
        });
        // Within the same turn of the event loop, while further records of the connection are decrypted.
        const others = new Buffers(8);
        const taken = Array.from({ length: 8 }, () => others.takeNow().fill(0));
        await sleep(100);
        for (const buffer of taken) {
          assert.ok(buffer.every((byte) => byte === 0));
          others.give(buffer);
        }
      });
    }
  });

  it('do not depend on where the server cuts its bytes', async () => {
    const body = content.subarray(0, 3000);
    const whole = Buffer.concat([Buffer.from(headOf(body.length)), body]);
    for (const sizes of [[1, 50, 1, 20], [whole.length], [whole.length - 1], [whole.length - body.length]]) {
      const send = async (socket: Socket) => {
        socket.setNoDelay();
        let start = 0;
        for (const size of sizes) {
          socket.write(whole.subarray(start, start + size));
          start += size;
          await sleep(5);
        }
        socket.write(whole.subarray(start));
      };
      const origin = await serve((socket) => void send(socket));
      assert.ok(Buffer.from(await readAll(streamOf(await opened(origin)))).equals(body));
    }
  });

  it('may be empty', async () => {
    const origin = await serve((socket) => socket.write(headOf(0)));
    assert.equal(await (await opened(origin)).next(), undefined);
  });

  for (const [title, response] of [
    ['another status', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'],
    ['a body of unknown length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12'],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['another version', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ] as const) {
    it(`leave the request to another client after ${title}`, async () => {
      const origin = await serve((socket) => socket.write(response));
      assert.equal(await get(origin), undefined);
    });
  }

  it('leave the request to another client if the server closes the connection, or refuses it', async () => {
    const origin = await serve((socket) => socket.end());
    assert.equal(await get(origin), undefined);
    assert.equal(await get(new URL('http://127.0.0.1:1/')), undefined);
  });

  it('fail if they break off, and their connection is not used again', async () => {
    let answered = 0;
    const origin = await serve((socket) => {
      socket.write(headOf(content.length));
      if (answered++ === 0) socket.end(content.subarray(0, MiB));
      else socket.write(content);
    });
    const failure = new Error('as the caller names it');
    const body = await opened(origin, { asError: () => failure });
    await assert.rejects(readAll(streamOf(body)), failure);
    assert.ok(Buffer.from(await readAll(streamOf(await opened(origin)))).equals(content));
    assert.equal(connections, 2);
  });

  it('are not used again if the server sends more than it announced', async () => {
    const origin = await serve((socket) => socket.write(`${headOf(1)}12`));
    await assert.rejects(readAll(streamOf(await opened(origin))));
    assert.equal(await (await opened(origin)).next().then(undefined, () => 'failed'), 'failed');
    assert.equal(connections, 2);
  });

  it('fail if the server is silent in the middle', async () => {
    const origin = await serve((socket) => {
      socket.write(headOf(content.length));
      socket.write(content.subarray(0, 1000));
    });
    const body = await opened(origin, { idleMilliseconds: 50 });
    await assert.rejects(readAll(streamOf(body)), { name: 'TimeoutError' });
  });

  it('end their connection when they are closed or aborted', async () => {
    const ended: Promise<unknown>[] = [];
    const origin = await serve((socket) => {
      ended.push(once(socket, 'close'));
      socket.write(headOf(content.length));
      socket.write(content.subarray(0, 1000));
    });
    const closed = await opened(origin);
    const next = closed.next().then(() => closed.next());
    await closed.close();
    await assert.rejects(next);
    const client = new AbortController();
    const aborted = await opened(origin, { signal: client.signal });
    client.abort();
    await assert.rejects(readAll(streamOf(aborted)));
    await Promise.all(ended);
    assert.equal(ended.length, 2);
  });

  it('send no request for a client that has gone already', async () => {
    const origin = await serve((socket) => socket.write(headOf(content.length)));
    assert.equal(await get(origin, { signal: AbortSignal.abort() }), undefined);
    assert.equal(connections, 0);
  });

  it('hold few buffers for a reader that releases none, and go on once it does', async () => {
    const origin = await serve((socket) => {
      socket.write(headOf(content.length));
      socket.write(content);
    });
    const body = await opened(origin);
    const held: LentBytes[] = [];
    let next = body.next();
    for (;;) {
      const lent = await Promise.race([next, sleep(300)]);
      if (!lent) break;
      held.push(lent);
      next = body.next();
    }
    const heldBytes = held.reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.ok(heldBytes <= 3 * BUFFER_BYTES, `${heldBytes} bytes`);
    const received = held.map(({ bytes }) => Buffer.from(bytes));
    for (const { release } of held) release();
    for (let lent = await next; lent; lent = await body.next()) {
      received.push(Buffer.from(lent.bytes));
      lent.release();
    }
    assert.ok(Buffer.concat(received).equals(content));
  });
});

function fixture(name: string): URL {
  return new URL(`../fixtures/${name}`, import.meta.url);
}
