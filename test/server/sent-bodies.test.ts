// Bodies that are sent without web streams: they arrive whole, or the client sees that they did not.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hono } from 'hono';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { startNodeServer } from '../../lib/server/node-server.ts';
import { streamOf } from '../../lib/streams/byte-source.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';

/** More than the buffers of a connection hold. */
const content = randomBytes(32 * MiB);

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(10);
}

describe('a blob on disk', { timeout: 30_000 }, () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let path: string;

  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
    client = new V2Client(server.url);
    path = `/v2/a/b/blobs/${(await client.pushBlob('a/b', content)).digest}`;
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  for (const { title, range, expected } of [
    { title: 'whole', range: undefined, expected: content },
    { title: 'a range across buffers', range: 'bytes=100000-3000000', expected: content.subarray(100_000, 3_000_001) },
    { title: 'a suffix', range: 'bytes=-2000000', expected: content.subarray(-2_000_000) },
    { title: 'from the middle on', range: `bytes=${31 * MiB}-`, expected: content.subarray(31 * MiB) },
  ]) {
    it(`arrives as it is stored: ${title}`, async () => {
      const response = await client.send('GET', path, range === undefined ? {} : { headers: { Range: range } });
      assert.equal(response.status, range === undefined ? 200 : 206);
      assert.equal(response.headers.get('Content-Length'), String(expected.length));
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(expected));
    });
  }

  it('arrives whole at several clients at once', async () => {
    const pulls = Array.from({ length: 6 }, async () => (await client.send('GET', path)).arrayBuffer());
    for (const pulled of await Promise.all(pulls)) assert.ok(Buffer.from(pulled).equals(content));
  });

  it('arrives twice on one connection that asks for both at once', async () => {
    const socket = connect(Number(server.url.port), '127.0.0.1');
    const request = (last: boolean) =>
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
    socket.write(request(false) + request(true));
    const received = Buffer.concat(await Array.fromAsync<Buffer>(socket));
    const first = received.indexOf(content);
    assert.ok(first > 0);
    assert.ok(received.indexOf(content, first + content.length) > 0);
    assert.equal(received.subarray(-content.length).equals(content), true);
  });

  it('is not sent if its file has another length than its link says', async () => {
    const small = randomBytes(100);
    const { digest } = await client.pushBlob('a/b', small);
    for await (const { key } of storage.driver.list(`oci/blobs/${digest.replace(':', '/')}` as KeyPrefix)) {
      await storage.driver.put(key, small.subarray(1));
    }
    assert.equal((await client.send('GET', `/v2/a/b/blobs/${digest}`)).status, 500);
  });

  it('is closed when clients go away in the middle', { skip: process.platform !== 'linux' }, async () => {
    const sockets = Array.from({ length: 3 }, () => connect(Number(server.url.port), '127.0.0.1'));
    for (const socket of sockets) {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await once(socket, 'readable');
    }
    assert.equal(openBlobs(), 3);
    for (const socket of sockets) socket.destroy();
    await until(() => openBlobs() === 0);
  });
});

/** How many files with the bytes of blobs this process has open. */
function openBlobs(): number {
  const targets = readdirSync('/proc/self/fd').map((file) => {
    try {
      return readlinkSync(`/proc/self/fd/${file}`);
    } catch {
      return ''; // it was closed meanwhile
    }
  });
  return targets.filter((target) => target.includes('/oci/blobs/') || target.includes('/oci/data/')).length;
}

it('a client sees that a body is not whole if its source fails, and the log has the error', {
  timeout: 10_000,
}, async () => {
  let given = 0;
  let isClosed = false;
  const source = {
    async next() {
      if (given++ === 3) throw new Error('the disk is gone');
      return { bytes: Buffer.alloc(MiB), release: () => undefined };
    },
    async close() {
      isClosed = true;
    },
  };
  const app = new Hono().get('/blob', (c) => c.body(streamOf(source), 200, { 'Content-Length': String(5 * MiB) }));
  const logged: unknown[] = [];
  const ignored = () => undefined;
  const log = {
    ...{ debug: ignored, info: ignored, warning: ignored, critical: ignored, audit: ignored },
    error: (message: string, fields?: object) => void logged.push({ message, ...fields }),
  };
  const server = await startNodeServer(app, { host: '127.0.0.1', port: 0, log });
  try {
    await assert.rejects(async () => await (await fetch(new URL('/blob?secret=1', server.url))).arrayBuffer());
    assert.ok(isClosed);
    assert.equal(logged.length, 1);
    assert.match(JSON.stringify(logged), /"path":"\/blob"/);
  } finally {
    await server.stop();
  }
});

for (const { title, sizeBytes } of [
  { title: 'shorter', sizeBytes: 10 },
  { title: 'longer', sizeBytes: 30 },
]) {
  it(`a body that is ${title} than its header says ends the connection, so that the next response does not seem to be its rest`, {
    timeout: 10_000,
  }, async () => {
    let isRead = false;
    const source = {
      async next() {
        if (isRead) return undefined;
        isRead = true;
        return { bytes: Buffer.alloc(sizeBytes, 'x'), release: () => undefined };
      },
      close: async () => undefined,
    };
    const app = new Hono()
      .get('/blob', (c) => c.body(streamOf(source), 200, { 'Content-Length': '20' }))
      .get('/next', (c) => c.text('next'));
    const server = await startNodeServer(app, { host: '127.0.0.1', port: 0 });
    try {
      const socket = connect(Number(server.url.port), '127.0.0.1');
      const head = 'HTTP/1.1\r\nHost: localhost\r\n';
      socket.write(`GET /blob ${head}\r\nGET /next ${head}Connection: close\r\n\r\n`);
      const received = Buffer.concat(await Array.fromAsync<Buffer>(socket)).toString();
      assert.ok(!received.includes('next'));
      assert.ok((received.match(/x{2,}/)?.[0].length ?? 0) <= 20);
    } finally {
      await server.stop();
    }
  });
}
